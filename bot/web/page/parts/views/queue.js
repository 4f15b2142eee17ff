// The line of pictures, as it moves: what is made now, what waits in which lane, and what failed and why.

import { get, post, query } from "../api.js";
import { Making } from "../chat/making.js";
import { useHouse } from "../house.js";
import { ENDED, useSteps } from "../jobs.js";
import { hrefTo } from "../router.js";
import { useAsked, useDoing } from "../ui/asked.js";
import { Button } from "../ui/button.js";
import { Card } from "../ui/card.js";
import { Empty, Waiting } from "../ui/empty.js";
import { useLasting } from "../ui/lasting.js";
import { Page } from "../ui/page.js";
import { Pager } from "../ui/pager.js";
import { Problem } from "../ui/problem.js";
import { useSoon } from "../ui/soon.js";
import { html } from "../vdom.js";
import { ago, say, span } from "./saying.js";

const LANES = ["interactive", "events", "scheduled", "backfill"];

/** Everybody who waits, by lane, and whoever is drawn. */
async function look(signal) {
  const line = await get("/line", { signal });
  return { jobs: [...line.running, ...Object.values(line.lanes).flat()], counts: line.counts, estimate: line.estimate };
}

/** What failed, the latest first. */
const lookAtFailed = (before, signal) => get(`/jobs${query({ state: "failed", before, limit: 20 })}`, { signal });

export default function Queue() {
  const { me } = useHouse();
  const line = useAsked(look);
  const failures = useLasting(lookAtFailed);
  const lists = { line, failures };
  const soon = useSoon((names) => Promise.all(names.map((one) => lists[one].again())));
  const again = () => soon("line", "failures");
  const put = (job) => {
    // A job that was not known is looked at with its line. What failed is asked for again only for a job that did, or
    // had: most do not.
    soon("line");
    if (job.state === "failed" || failures.items.some((one) => one.id === job.id)) soon("failures");
    // What is told of a job in passing does not say for whom it is.
    const known = (jobs) => jobs.map((one) => (one.id === job.id ? { ...one, ...job } : one));
    line.set((now) => now && { ...now, jobs: known(now.jobs) });
    failures.setItems(known);
  };
  const steps = useSteps(put, again);
  const jobs = line.found?.jobs ?? [];
  const running = jobs.filter((one) => one.state === "running");
  const waiting = jobs.filter((one) => one.state === "queued").sort((one, other) => one.id - other.id);
  const failed = failures.items.filter((one) => one.state === "failed");
  const mayChange = !me || me.scopes.includes("manage");
  const shared = { steps, put, mayChange };
  const idle = line.found && running.length + waiting.length === 0;
  return html`
    <${Page} title=${say("place_queue")}>
      <${Problem} trouble=${line.trouble} again=${line.again} />
      ${!line.found && line.loading && html`<${Waiting} label=${say("loading")} />`}
      ${idle && html`<${Empty} icon="list" title=${say("line_empty")}><p>${say("line_empty_more")}</p><//>`}
      ${!idle && line.found?.estimate && html`<p class="lead">${say("line_over_in", { span: span(line.found.estimate.likely) })}</p>`}
      <${Jobs} title=${say("in_work")} jobs=${running} ...${shared} />
      ${LANES.map((lane) => html`<${Jobs} key=${lane} title=${say(`lane_${lane}`)} jobs=${waiting.filter((one) => one.lane === lane)} count=${line.found?.counts[lane]} ...${shared} />`)}
      <${Jobs} title=${say("failed_of_late")} jobs=${failed} pages=${failures} ...${shared} />
    <//>
  `;
}

/** `count`: of many that wait only the first are told one by one. `pages`: more of them come behind. */
function Jobs({ title, jobs, count = jobs.length, pages, ...rest }) {
  if (jobs.length === 0 && !pages?.trouble && !pages?.next) return null;
  return html`
    <${Card} title=${`${title} (${Math.max(count, jobs.length)}${pages?.next ? "+" : ""})`}>
      <ul class="rows">
        ${jobs.map((job) => html`<${Job} key=${job.id} job=${job} ...${rest} />`)}
      </ul>
      ${pages && html`<${Pager} pages=${pages} />`}
    <//>
  `;
}

function Job({ job, steps, put, mayChange }) {
  const { tell } = useHouse();
  const [doing, act] = useDoing(tell);
  const order = (what) => () => act(async () => put(await post(`/jobs/${job.id}/${what}`)));
  // Before the next step is told, the row says how far it is.
  const step = steps.get(job.id) ?? (job.step > 0 ? { step: job.step, of: job.steps, left: null, preview: null } : null);
  const scene = job.request.scene || job.request.prompt;
  return html`
    <li class="row" data-job=${job.id}>
      <div class="row-words">
        <p class="row-title">${say("job_title", { id: String(job.id) })}${job.persona_name && ` · ${job.persona_name}`}</p>
        <p class="row-more">${scene.slice(0, 240)}</p>
        <p class="row-small">
          ${[say(`state_${job.state}`), job.request.style, job.person && say("for_whom", { name: job.person }), ago(job.created_at), job.ahead > 0 && say("ahead", { n: job.ahead })].filter(Boolean).join(" · ")}
        </p>
        ${job.error && html`<p class="row-error">${job.error}</p>`}
        ${job.state === "running" && step && html`<${Making} step=${step} />`}
        ${job.pictures.length > 0 && html`<p>${job.pictures.map((one) => html`<a href=${hrefTo("picture", one.id)}>${say("picture_title", { id: String(one.id) })}</a> `)}</p>`}
      </div>
      <div class="row-actions">
        ${mayChange && !ENDED.includes(job.state) && html`<${Button} kind="danger" busy=${doing} onClick=${order("cancel")}>${say("cancel")}<//>`}
        ${mayChange && job.state === "failed" && html`<${Button} icon="refresh" busy=${doing} onClick=${order("retry")}>${say("retry")}<//>`}
      </div>
    </li>
  `;
}
