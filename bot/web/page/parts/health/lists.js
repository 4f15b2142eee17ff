// Parts of the house and those who write and paint; what stood in for them and why; and the end of the log.

import { get } from "../api.js";
import { useAsked } from "../ui/asked.js";
import { Button } from "../ui/button.js";
import { Card } from "../ui/card.js";
import { Problem } from "../ui/problem.js";
import { Table } from "../ui/table.js";
import { html } from "../vdom.js";
import { moment, number, say } from "../views/saying.js";

export function Parts({ now }) {
  const rows = [
    ...now.providers.map((one) => ({ id: `${one.what} ${one.name}`, name: `${say(`what_${one.what}`)}: ${one.name}`, up: one.up, why: [one.state, one.why].filter(Boolean).join(" · ") })),
    ...now.parts.map((one) => ({ id: one.name, name: one.name, up: one.runs, why: one.why })),
  ];
  const columns = [
    { head: say("part"), cell: (row) => row.name },
    { head: say("state"), cell: (row) => html`<span class=${row.up ? "up" : "down"}>${row.up ? say("runs_well") : say("stands_still")}</span>` },
    { head: say("why"), cell: (row) => row.why },
  ];
  const workers = now.workers.length ? say("workers_busy", { jobs: now.workers.join(", ") }) : say("workers_idle");
  return html`
    <${Card} title=${say("parts")}>
      <p>${workers}</p>
      <${Table} name=${say("parts")} columns=${columns} rows=${rows} />
    <//>
  `;
}

export function Fallbacks() {
  const fallbacks = useAsked((signal) => get("/health/fallbacks", { signal }));
  const items = fallbacks.found?.items ?? [];
  const columns = [
    { head: say("part"), cell: (row) => say(`what_${row.what}`) },
    { head: say("cause"), cell: (row) => row.cause },
    { head: say("count"), numeric: true, cell: (row) => number(row.count) },
  ];
  return html`
    <${Card} title=${say("fallbacks")}>
      <${Problem} trouble=${fallbacks.trouble} again=${fallbacks.again} />
      ${fallbacks.found && items.length === 0 && html`<p class="soft">${say("no_fallbacks")}</p>`}
      ${items.length > 0 && html`<${Table} name=${say("fallbacks")} columns=${columns} rows=${items} keyOf=${(row) => `${row.what} ${row.cause}`} />`}
    <//>
  `;
}

export function Log() {
  const log = useAsked((signal) => get("/health/log?lines=200", { signal }));
  const lines = log.found?.lines ?? [];
  const actions = html`<${Button} icon="refresh" onClick=${log.again}>${say("look_again")}<//>`;
  return html`
    <${Card} title=${say("log")} actions=${actions}>
      <${Problem} trouble=${log.trouble} again=${log.again} />
      ${log.found && lines.length === 0 && html`<p class="soft">${say("log_empty")}</p>`}
      ${lines.length > 0 &&
      html`
        <ol class="log-lines" tabindex="0" aria-label=${say("log")}>
          ${[...lines].reverse().map((one, place) => html`<${Line} key=${lines.length - place} line=${one} />`)}
        </ol>
      `}
    <//>
  `;
}

function Line({ line }) {
  const about = Object.entries(line.about)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
  return html`
    <li class="log-line log-${line.level}">
      ${line.at && html`<time datetime=${line.at}>${moment(line.at)}</time>`}
      <span><b>${line.level}</b> ${line.event} <span class="soft">${about}</span></span>
    </li>
  `;
}
