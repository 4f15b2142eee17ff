// A picture that was ordered here: its place in line, its steps, and then the picture itself.

import { Making } from "./chat/making.js";
import { useJob } from "./jobs.js";
import { hrefTo } from "./router.js";
import { Problem } from "./ui/problem.js";
import { Progress } from "./ui/progress.js";
import { Thumb } from "./ui/thumb.js";
import { html } from "./vdom.js";
import { say } from "./views/saying.js";

export function Made({ order }) {
  const { job, step, trouble } = useJob(order);
  if (!job) return null;
  if (job.state === "failed") return html`<${Problem} trouble=${new Error(job.error || say("job_failed"))} />`;
  if (job.state === "cancelled") return html`<p role="status">${say("job_cancelled")}</p>`;
  return html`
    <div class="made" role="status">
      ${job.state === "done"
        ? html`
            <p>${say("job_done")}</p>
            <ul class="thumbs">
              ${job.pictures.map((picture) => html`<li key=${picture.id}><${Thumb} picture=${shown(picture)} href=${hrefTo("picture", picture.id)} /></li>`)}
            </ul>
          `
        : step
          ? html`<${Making} step=${step} />`
          : html`<${Progress} label=${say("making")}>${job.ahead > 0 ? say("job_ahead", { n: job.ahead }) : say("job_waits")}<//>`}
      <${Problem} trouble=${trouble} />
    </div>
  `;
}

/** A picture of a job has no addresses yet. */
export function shown(picture) {
  return { thumb: `/api/v1/pictures/${picture.id}/thumb`, image: `/api/v1/pictures/${picture.id}`, ...picture };
}
