// How the house is: what is wrong, the last hour of the machine and of the line, who works, and what stood in for whom.

import { get } from "../api.js";
import { Fallbacks, Log, Parts } from "../health/lists.js";
import { Hour } from "../health/hour.js";
import { useHouse } from "../house.js";
import { useAsked } from "../ui/asked.js";
import { Card } from "../ui/card.js";
import { Waiting } from "../ui/empty.js";
import { Page } from "../ui/page.js";
import { Problem } from "../ui/problem.js";
import { html, useEffect } from "../vdom.js";
import { say } from "./saying.js";

/** An hour of them, as many as the house keeps. */
const MOST = 360;

export default function Health() {
  const { live, me } = useHouse();
  const now = useAsked((signal) => get("/health/now", { signal }));
  const hour = useAsked((signal) => get("/health/samples", { signal }));
  useEffect(
    () =>
      live.watch("health", (event) => {
        if (event.is === "health") {
          hour.set((known) => known && { ...known, items: [...known.items, event.sample].slice(-MOST) });
          now.again();
        } else if (event.is === "again") {
          hour.again();
          now.again();
        }
      }),
    [live],
  );
  const mayRead = !me || me.scopes.includes("manage");
  return html`
    <${Page} title=${say("place_health")}>
      <${Problem} trouble=${now.trouble ?? hour.trouble} again=${() => (now.again(), hour.again())} />
      ${!now.found && now.loading && html`<${Waiting} label=${say("loading")} />`}
      ${now.found &&
      html`
        <${Card} title=${say("verdict")}>
          <ul class="verdict">${now.found.verdict.map((one) => html`<li key=${one}>${one}</li>`)}</ul>
        <//>
        <${Hour} samples=${samplesOf(hour.found, now.found)} noGpu=${now.found.no_gpu} />
        <${Parts} now=${now.found} />
      `}
      <${Fallbacks} />
      ${mayRead && html`<${Log} />`}
    <//>
  `;
}

/** The house was opened a moment ago: there is no hour yet, but how it is now. */
function samplesOf(hour, now) {
  return hour?.items.length ? hour.items : [now.sample];
}
