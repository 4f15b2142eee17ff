// A feed or a hook that is made, or changed; and the secret of a new hook, which is shown this once.

import { patch, post } from "../api.js";
import { Button } from "../ui/button.js";
import { choicesOf, useVocabulary } from "../ui/choosing.js";
import { Copied } from "../ui/copied.js";
import { Dialog } from "../ui/dialog.js";
import { Choice, Field, useName } from "../ui/field.js";
import { Problem } from "../ui/problem.js";
import { html, useState } from "../vdom.js";
import { say } from "../views/saying.js";
import { Before, Leave, useForm } from "./form.js";
import { alike, NOWHERE, numbersIn, usePlace } from "./places.js";

const LENDERS = ["render", "item", "folder", "none"];
const APPROVALS = ["no", "skip", "post"];
const PLAIN = ["address", "persona", "only", "without", "every", "picture", "style", "approval"];

const EMPTY = { address: "", persona: "", only: "", without: "", every: "", picture: "render", style: "", approval: "no", to: "", ...NOWHERE };

/** What stands in the fields of one that is there. */
const known = (feed) => ({
  ...EMPTY,
  address: feed.kind === "feed" ? feed.address : "",
  only: feed.only.join(", "),
  without: feed.without.join(", "),
  every: feed.every,
  picture: feed.picture || "none",
  style: feed.style,
  approval: feed.approval || "no",
  to: feed.to.join(", "),
});

/** What is to be sent: what is otherwise than before. */
function changes(typed, before, place) {
  const wanted = {};
  for (const name of PLAIN) if (typed[name] !== before[name]) wanted[name] = typed[name].trim();
  const to = numbersIn(typed.to);
  if (!alike(to, numbersIn(before.to))) wanted.to = to;
  return place ? { ...wanted, chat: place } : wanted;
}

/** Without a `feed` it is a new one of that `kind`. */
export function FeedForm({ feed, kind = feed.kind, changed, close }) {
  const { personas, styles } = useVocabulary();
  const [before] = useState(() => (feed ? known(feed) : EMPTY));
  const form = useForm(feed ? `feed.${feed.id}` : `new-${kind}`, before);
  const { typed, field } = form;
  const [made, setMade] = useState(null);
  const [trouble, setTrouble] = useState(null);
  const [doing, setDoing] = useState(false);
  const name = useName();
  const where = usePlace({ label: say("where"), stays: feed?.chat, field });
  const isFeed = kind === "feed";
  const untouched = feed ? !where.place && form.changed.every((one) => one in NOWHERE) : !where.place || (isFeed && !typed.address.trim());
  // What is being made may have a secret, which nobody is told again: that is waited for.
  const leave = () => doing || close();
  const away = () => {
    if (doing) return;
    form.forget();
    close();
  };
  const save = async (event) => {
    event.preventDefault();
    if (doing || untouched) return;
    setDoing(true);
    setTrouble(null);
    try {
      const wanted = changes(typed, before, where.place);
      const order = { ...wanted, kind };
      const told = feed ? await patch(`/feeds/${feed.id}`, wanted) : await post("/feeds", { ...order, key: form.keyOf(order) });
      form.forget();
      changed();
      if (told.secret) setMade(told);
      else {
        close();
        return;
      }
    } catch (error) {
      setTrouble(error);
    }
    setDoing(false);
  };
  if (made) return html`<${Secret} hook=${made} close=${close} />`;
  const title = feed ? say(isFeed ? "edit_feed" : "edit_hook", { id: String(feed.id) }) : say(isFeed ? "new_feed" : "new_hook");
  const actions = html`
    <${Leave} form=${form} away=${away} />
    <${Button} type="submit" form=${name} kind="good" busy=${doing} disabled=${untouched}>${say(feed ? "save" : isFeed ? "listen" : "make_hook")}<//>
  `;
  return html`
    <${Dialog} title=${title} close=${leave} actions=${actions}>
      <form id=${name} class="form" novalidate onSubmit=${save}>
        <${Before} form=${form} />
        ${isFeed && html`<${Field} label=${say("address")} hint=${say("address_hint")} type="url" autofocus maxlength="2000" ...${field("address")} />`}
        ${!isFeed && !feed && html`<p class="soft">${say("hook_about")}</p>`}
        ${where.fields}
        <${Choice} label=${say("persona")} choices=${choicesOf(personas, feed ? say("as_now", { name: feed.persona }) : say("whoever_is_there"))} ...${field("persona")} />
        <div class="form-row">
          <${Field} label=${say("only_with")} hint=${say("words_hint")} maxlength="1000" ...${field("only")} />
          <${Field} label=${say("not_with")} maxlength="1000" ...${field("without")} />
        </div>
        <div class="form-row">
          <${Choice} label=${say("picture_from")} choices=${LENDERS.map((one) => [one, say(`picture_from_${one}`)])} ...${field("picture")} />
          <${Choice} label=${say("style")} choices=${choicesOf(styles, say("as_usual"))} ...${field("style")} />
        </div>
        <div class="form-row">
          <${Choice} label=${say("approval")} choices=${APPROVALS.map((one) => [one, say(`approval_${one}`)])} ...${field("approval")} />
          <${Field} label=${say("also_to")} hint=${say("also_to_hint")} maxlength="1000" ...${field("to")} />
        </div>
        ${isFeed && html`<${Field} label=${say("look_every")} hint=${say("look_every_hint")} maxlength="200" ...${field("every")} />`}
        ${feed && html`<p class="hint">${say("from_now_on")}</p>`}
        <${Problem} trouble=${trouble} />
      </form>
    <//>
  `;
}

/** Nobody can be told it again, so that it does not go at the first slip of a hand. */
function Secret({ hook, close }) {
  const [warned, warn] = useState(false);
  const slipped = () => (warned ? close() : warn(true));
  const actions = html`<${Button} kind="good" icon="check" onClick=${close}>${say("hook_kept")}<//>`;
  return html`
    <${Dialog} title=${say("hook_is_there", { id: String(hook.id) })} close=${slipped} actions=${actions}>
      <div class="secret">
        <p class=${warned ? "problem" : "secret-once"} role=${warned ? "alert" : undefined}>${say(warned ? "hook_once_more" : "hook_once")}</p>
        <dl class="secret-facts">
          <${Told} name=${say("address")} text=${hook.address} />
          <${Told} name="X-Greenroom-Secret" text=${hook.secret} />
          <${Told} name=${say("hook_key")} text=${hook.key} />
        </dl>
        <p class="hint">${say("hook_how")}</p>
      </div>
    <//>
  `;
}

function Told({ name, text }) {
  return html`
    <div>
      <dt>${name}</dt>
      <dd><code>${text}</code><${Copied} text=${text} /></dd>
    </div>
  `;
}
