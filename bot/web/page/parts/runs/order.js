// An order of many pictures: what is wanted, what it would come to, and then the run.

import { post } from "../api.js";
import { Button } from "../ui/button.js";
import { Card } from "../ui/card.js";
import { choicesOf, useVocabulary } from "../ui/choosing.js";
import { Check, Choice, Field } from "../ui/field.js";
import { Problem } from "../ui/problem.js";
import { html, useState } from "../vdom.js";
import { number, say, span } from "../views/saying.js";

const SHOWN = 12;

export function Order({ begun }) {
  const { styles } = useVocabulary();
  const [typed, setTyped] = useState({ style: "", scene: "", tags: "", limit: "", missing_only: true, face: false, posts: false });
  const [plan, setPlan] = useState(null);
  const [trouble, setTrouble] = useState(null);
  const [doing, setDoing] = useState(false);
  const change = (name) => (value) => {
    setPlan(null);
    setTyped((now) => ({ ...now, [name]: value }));
  };
  const field = (name) => ({ value: typed[name], change: change(name) });
  const check = (name) => ({ checked: typed[name], change: change(name) });
  const wanted = () => ({
    kind: "backfill",
    scene: typed.scene.trim(),
    tags: typed.tags.split(",").map((one) => one.trim()).filter(Boolean),
    limit: typed.limit ? Number(typed.limit) : null,
    missing_only: typed.missing_only,
    face: typed.face,
    posts: typed.posts,
    wish: typed.style ? { style: typed.style } : {},
  });
  const ask = async (path, take) => {
    setDoing(true);
    setTrouble(null);
    try {
      take(await post(path, wanted()));
    } catch (error) {
      setTrouble(error);
    }
    setDoing(false);
  };
  const look = (event) => {
    event.preventDefault();
    ask("/runs/plan", setPlan);
  };
  const start = () =>
    ask("/runs", ({ run }) => {
      setPlan(null);
      if (run) begun(run);
    });
  return html`
    <${Card} title=${say("new_run")}>
      <form class="form" onSubmit=${look}>
        <div class="form-row">
          <${Choice} label=${say("style")} choices=${choicesOf(styles, say("as_usual"))} ...${field("style")} />
          <${Field} label=${say("tags")} hint=${say("tags_hint")} maxlength="2000" ...${field("tags")} />
          <${Field} label=${say("at_most")} type="number" min="1" inputmode="numeric" ...${field("limit")} />
        </div>
        <${Field} label=${say("scene")} hint=${say("scene_hint")} maxlength="2000" ...${field("scene")} />
        <div class="checks">
          <${Check} label=${say("missing_only")} ...${check("missing_only")} />
          <${Check} label=${say("as_faces")} ...${check("face")} />
          <${Check} label=${say("for_posts")} ...${check("posts")} />
        </div>
        <${Problem} trouble=${trouble} />
        ${plan && html`<${Plan} plan=${plan} />`}
        <div class="form-end">
          <${Button} type="submit" busy=${doing}>${say("plan")}<//>
          ${plan && plan.total > 0 && html`<${Button} kind="good" busy=${doing} onClick=${start}>${say("start_run", { n: plan.total })}<//>`}
        </div>
      </form>
    <//>
  `;
}

function Plan({ plan }) {
  const names = plan.members.slice(0, SHOWN).map((one) => one.name);
  const more = plan.total - names.length;
  const told = [
    say("plan_total", { n: plan.total }),
    plan.expected && say("plan_takes", { span: span(plan.expected.likely) }),
    plan.cost > 0 && say("plan_costs", { cost: number(plan.cost), currency: plan.currency }),
    plan.goes_on && say("plan_goes_on", { name: plan.goes_on }),
  ];
  return html`
    <div class="plan" role="status">
      <p>${told.filter(Boolean).join(" · ")}</p>
      ${names.length > 0 && html`<p class="soft">${names.join(", ")}${more > 0 && ` ${say("and_more", { n: more })}`}</p>`}
    </div>
  `;
}
