// The last hour as small charts: GPU, memory, processor, and the line.

import { Card } from "../ui/card.js";
import { Chart } from "../ui/chart.js";
import { html } from "../vdom.js";
import { bytes, number, percent, say } from "../views/saying.js";

export function Hour({ samples, noGpu }) {
  const gpus = Math.max(0, ...samples.map((one) => one.gpus.length));
  const charts = [];
  for (let place = 0; place < gpus; place += 1) {
    const gpu = (one) => one.gpus[place];
    const name = gpu(samples.at(-1))?.name ?? say("gpu");
    charts.push({ title: `${name}: ${say("memory")}`, of: (one) => gpu(one)?.used ?? null, most: gpu(samples.at(-1))?.total, said: bytes });
    charts.push({ title: `${name}: ${say("busy")}`, of: (one) => share(gpu(one)?.busy), most: 1, said: percent });
  }
  charts.push(
    { title: say("memory"), of: usedOf, most: samples.at(-1).memory, said: bytes },
    { title: say("memory_of_ours"), of: (one) => one.process, said: bytes },
    { title: say("load"), of: (one) => one.load, most: samples.at(-1).cores, said: rounded },
    { title: say("in_line"), of: (one) => sum(one.lanes), said: number },
    { title: say("tokens_per_second"), of: (one) => one.tokens_per_second, said: rounded },
    { title: say("pictures_per_minute"), of: (one) => one.pictures_per_minute, said: rounded },
  );
  return html`
    <${Card} title=${say("last_hour")}>
      ${gpus === 0 && noGpu && html`<p class="soft">${noGpu}</p>`}
      <div class="charts">
        ${charts.map(({ title, of, most, said }) => html`<${Chart} key=${title} title=${title} most=${most} ...${shown(samples.map(of), said)} />`)}
      </div>
    <//>
  `;
}

const rounded = (value) => number(Math.round(value * 10) / 10);
const share = (busy) => (busy === null || busy === undefined ? null : busy / 100);
const usedOf = (one) => (one.memory_free === null ? null : one.memory - one.memory_free);
const sum = (lanes) => Object.values(lanes).reduce((all, one) => all + one.waiting + one.running, 0);

function shown(values, said) {
  const known = values.filter((one) => one !== null && one !== undefined);
  if (known.length === 0) return { values, now: "–", told: say("not_told") };
  const facts = { least: said(Math.min(...known)), most: said(Math.max(...known)) };
  return { values, now: said(known.at(-1)), told: say("between", facts) };
}
