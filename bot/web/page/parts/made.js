// A picture that was ordered here: its place in line, its steps, and then the picture itself.

import { Making } from "./chat/making.js";
import { useJob } from "./jobs.js";
import { Problem } from "./ui/problem.js";
import { Progress } from "./ui/progress.js";
import { Thumbs } from "./ui/thumbs.js";
import { html } from "./vdom.js";
import { say } from "./views/saying.js";

export function Made({ order }) {
  const { job, step, trouble } = useJob(order);
  if (!job) return null;
  if (job.state === "failed") return html`<${Problem} trouble=${new Error(job.error || say("state_failed"))} />`;
  return html`
    <div class="made">
      ${job.state === "cancelled" && html`<p role="status">${say("state_cancelled")}</p>`}
      ${job.state === "done" && html`<p role="status">${say("made_done")}</p><${Thumbs} pictures=${job.pictures} small />`}
      ${job.state === "running" && step && html`<${Making} step=${step} />`}
      ${(job.state === "queued" || (job.state === "running" && !step)) &&
      html`<${Progress} label=${say("making")}>${job.ahead > 0 ? say("ahead", { n: job.ahead }) : say("state_running")}<//>`}
      <${Problem} trouble=${trouble} />
    </div>
  `;
}
