// Runs, the newest first: how far each is and when it may be over, what went wrong, and two of them side by side.

import { get, part, post } from "../api.js";
import { useHouse } from "../house.js";
import { useDoing } from "../ui/asked.js";
import { Button } from "../ui/button.js";
import { Card } from "../ui/card.js";
import { Pager } from "../ui/pager.js";
import { Progress } from "../ui/progress.js";
import { html, useEffect, useState } from "../vdom.js";
import { moment, number, say, span } from "../views/saying.js";
import { Compare } from "./compare.js";

export function Runs({ runs, put, mayChange }) {
  const { items } = runs;
  return html`
    <${Card} title=${say("runs")}>
      ${!runs.loading && !runs.trouble && items.length === 0 && html`<p class="soft">${say("no_runs")}</p>`}
      <ul class="rows">
        ${items.map((one) => html`<${Run} key=${one.id} run=${one} runs=${items} put=${put} mayChange=${mayChange} />`)}
      </ul>
      <${Pager} pages=${runs} />
    <//>
  `;
}

function Run({ run, runs, put, mayChange }) {
  const { tell } = useHouse();
  const [doing, act] = useDoing(tell);
  const [reasons, setReasons] = useState(run.reasons ?? []);
  useEffect(() => {
    // The reasons are looked up once it is over: until then they change.
    if (run.failed > 0 && run.state !== "open") get(`/runs/${run.id}`).then((found) => setReasons(found.reasons), () => {});
  }, [run.failed, run.state]);
  const [comparing, compare] = useState(false);
  const pause = () => act(async () => put(await post(`/runs/${run.id}/pause`)));
  const done = run.total - run.left;
  const told = [
    say("run_made", { n: done, of: run.total }),
    run.failed > 0 && say("run_went_wrong", { n: run.failed }),
    run.state === "open" && run.expected && say("left", { span: span(run.expected.likely) }),
  ];
  return html`
    <li class="row" data-run=${run.id}>
      <div class="row-words">
        <p class="row-title">${run.name} <span class="mark">${say(`run_state_${run.state}`)}</span></p>
        <p class="row-small">${[run.style, run.cohort, moment(run.created_at)].filter(Boolean).join(" · ")}</p>
        <${Progress} value=${done} max=${Math.max(1, run.total)} label=${run.name}>${told.filter(Boolean).join(" · ")}<//>
        ${reasons.length > 0 &&
        html`
          <ul class="reasons">
            ${reasons.map((one) => html`<li key=${one.says}>${number(one.jobs)} × ${one.says}</li>`)}
          </ul>
        `}
      </div>
      <div class="row-actions">
        <${Button} href=${`#/gallery?run=${part(run.id)}`} icon="picture">${say("pictures")}<//>
        ${runs.length > 1 && html`<${Button} onClick=${() => compare(true)}>${say("compare_it")}<//>`}
        ${mayChange && run.state === "open" && html`<${Button} busy=${doing} onClick=${pause}>${say("pause")}<//>`}
      </div>
      ${comparing && html`<${Compare} run=${run} runs=${runs} close=${() => compare(false)} />`}
    </li>
  `;
}
