// Two runs side by side, persona by persona.

import { get, query } from "../api.js";
import { useAsked } from "../ui/asked.js";
import { Dialog } from "../ui/dialog.js";
import { Waiting } from "../ui/empty.js";
import { Choice } from "../ui/field.js";
import { Problem } from "../ui/problem.js";
import { Table } from "../ui/table.js";
import { html, useState } from "../vdom.js";
import { say } from "../views/saying.js";

export function Compare({ run, runs, close }) {
  const others = runs.filter((one) => one.id !== run.id);
  const [wanted, setWanted] = useState(others[0].name);
  const compared = useAsked((signal) => get(`/runs/compare${query({ one: run.name, other: wanted })}`, { signal }), [run.name, wanted]);
  const columns = [
    { head: say("persona"), cell: (row) => row.name || "–" },
    { head: run.name, numeric: true, cell: (row) => shareOf(row.one) },
    { head: wanted, numeric: true, cell: (row) => shareOf(row.other) },
  ];
  return html`
    <${Dialog} title=${say("compare_with", { name: run.name })} close=${close} wide>
      <div class="form">
        <${Choice} label=${say("compare")} value=${wanted} change=${setWanted} choices=${others.map((one) => [one.name, one.name])} />
        <${Problem} trouble=${compared.trouble} again=${compared.again} />
        ${!compared.found && compared.loading && html`<${Waiting} label=${say("loading")} />`}
        ${compared.found && html`<${Table} name=${say("compare")} columns=${columns} rows=${compared.found.personas} keyOf=${(row) => row.persona_id ?? row.slug} />`}
      </div>
    <//>
  `;
}

function shareOf(share) {
  if (!share) return "–";
  const failed = share.failed > 0 ? ` · ${say("run_went_wrong", { n: share.failed })}` : "";
  return `${say("n_pictures", { n: share.pictures })}${failed}`;
}
