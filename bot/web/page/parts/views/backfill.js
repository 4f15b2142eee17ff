// Pictures for everybody who has none: how many there are, what an order would come to, the order, and its runs.

import { get, query } from "../api.js";
import { useHouse } from "../house.js";
import { Order } from "../runs/order.js";
import { Runs } from "../runs/runs.js";
import { useAsked } from "../ui/asked.js";
import { Card } from "../ui/card.js";
import { Page } from "../ui/page.js";
import { usePages } from "../ui/pager.js";
import { Problem } from "../ui/problem.js";
import { Progress } from "../ui/progress.js";
import { html, useEffect } from "../vdom.js";
import { say } from "./saying.js";

/** An order is answered on a way of its own: its run may be told to be further already. */
const isBehind = (answer, known) => answer.total === known.total && (answer.left > known.left || (known.state === "done" && answer.state !== "done"));

/** Everything with a run at its place. One behind all that is listed is not listed yet: it comes with its page. */
function withRun(listed, run) {
  if (listed.length > 0 && run.id < listed.at(-1).id) return listed;
  return [run, ...listed.filter((one) => one.id !== run.id)].sort((one, other) => other.id - one.id);
}

export default function Backfill() {
  const { live, me } = useHouse();
  const pictured = useAsked((signal) => get("/pictured", { signal }));
  const runs = usePages((before, signal) => get(`/runs${query({ before })}`, { signal }));
  const put = (run) => {
    runs.setItems((now) => withRun(now, run));
    pictured.again();
  };
  const answered = (run) => {
    runs.setItems((now) => {
      const known = now.find((one) => one.id === run.id);
      return withRun(now, known && isBehind(run, known) ? known : run);
    });
    pictured.again();
  };
  useEffect(
    () =>
      live.watch("runs", (event) => {
        if (event.is === "run") put(event.run);
        else if (event.is === "again") runs.again();
      }),
    [live],
  );
  const mayChange = !me || me.scopes.includes("manage");
  return html`
    <${Page} title=${say("place_backfill")}>
      <${Problem} trouble=${pictured.trouble} again=${pictured.again} />
      ${pictured.found &&
      html`
        <div class="counts">
          <${Count} title=${say("personas")} counts=${pictured.found.personas} />
          <${Count} title=${say("posts")} counts=${pictured.found.posts} />
        </div>
      `}
      ${mayChange && html`<${Order} begun=${answered} />`}
      <${Runs} runs=${runs} put=${answered} mayChange=${mayChange} />
    <//>
  `;
}

function Count({ title, counts }) {
  return html`
    <${Card} title=${title}>
      <${Progress} value=${counts.with} max=${Math.max(1, counts.total)} label=${title}>
        ${say("with_pictures", { n: counts.with, of: counts.total })}${counts.without > 0 && ` · ${say("without_pictures", { n: counts.without })}`}
      <//>
    <//>
  `;
}
