// Schedules: when a persona posts and where, with the next times; and the way to a new one, or to another time.

import { get, newKey, post, query, remove } from "../api.js";
import { useHouse } from "../house.js";
import { useDoing } from "../ui/asked.js";
import { Button } from "../ui/button.js";
import { Card } from "../ui/card.js";
import { Sure } from "../ui/dialog.js";
import { Pager } from "../ui/pager.js";
import { html, useState } from "../vdom.js";
import { moment, say } from "../views/saying.js";
import { Manners } from "./manners.js";
import { called } from "./places.js";
import { ScheduleForm } from "./schedule-form.js";

export const lookAtSchedules = (before, signal) => get(`/schedules${query({ before, limit: 50 })}`, { signal });

export function Schedules({ schedules, soon, mayChange }) {
  const [adding, add] = useState(false);
  // What was planned is planned anew, or goes.
  const changed = () => soon("schedules", "week", "inbox");
  const actions = mayChange && html`<${Button} icon="plus" onClick=${() => add(true)}>${say("new_schedule")}<//>`;
  return html`
    <${Card} title=${say("schedules")} actions=${actions}>
      ${schedules.found && schedules.items.length === 0 && html`<p class="soft">${say("no_schedules")}</p>`}
      <ul class="rows">
        ${schedules.items.map((one) => html`<${Schedule} key=${one.id} schedule=${one} changed=${changed} mayChange=${mayChange} />`)}
      </ul>
      <${Pager} pages=${schedules} />
      ${adding && html`<${ScheduleForm} changed=${changed} close=${() => add(false)} />`}
    <//>
  `;
}

function Schedule({ schedule, changed, mayChange }) {
  const { tell } = useHouse();
  const [doing, act] = useDoing(tell);
  const [sure, ask] = useState(false);
  const [editing, edit] = useState(false);
  // Pressed once more after something went wrong on the way, it is the same post.
  const [key, setKey] = useState(newKey);
  const path = `/schedules/${schedule.id}`;
  const done = (work, word) =>
    act(async () => {
      await work();
      ask(false);
      if (word) tell(say(word), "good");
      changed();
    });
  const order = (what) => () => done(() => post(`${path}/${what}`));
  const run = () =>
    done(async () => {
      await post(`${path}/run`, { key });
      setKey(newKey());
    }, "post_in_making");
  const rests = schedule.state !== "active";
  return html`
    <li class="row" data-schedule=${schedule.id}>
      <div class="row-words">
        <p class="row-title">${schedule.persona || say("pictures")} · ${schedule.when}${rests && html` <span class="mark">${say(`schedule_${schedule.state}`)}</span>`}</p>
        <p class="row-small">${[called(schedule.chat), ...(schedule.options.themes?.length ? schedule.options.themes : [schedule.theme]), schedule.zone].filter(Boolean).join(" · ")}</p>
        <${Manners} options=${schedule.options} />
        ${schedule.next.length > 0 && html`<p class="row-small">${say("next_time", { when: moment(schedule.next[0], schedule.zone) })}</p>`}
        ${schedule.error && html`<p class="row-error">${schedule.error}</p>`}
      </div>
      ${mayChange &&
      html`
        <div class="row-actions">
          ${schedule.state === "active" && html`<${Button} busy=${doing} onClick=${order("pause")}>${say("pause")}<//>`}
          ${schedule.state === "paused" && html`<${Button} busy=${doing} onClick=${order("resume")}>${say("resume")}<//>`}
          ${schedule.persona_id && html`<${Button} busy=${doing} onClick=${run}>${say("post_now")}<//>`}
          ${schedule.state === "active" && html`<${Button} busy=${doing} onClick=${order("skip")}>${say("skip_next")}<//>`}
          <${Button} icon="pen" onClick=${() => edit(true)}>${say("edit")}<//>
          <${Button} kind="danger" onClick=${() => ask(true)}>${say("remove")}<//>
        </div>
      `}
      ${editing && html`<${ScheduleForm} schedule=${schedule} changed=${changed} close=${() => edit(false)} />`}
      ${sure && html`<${Sure} title=${say("sure_remove_schedule")} yes=${say("remove")} act=${() => done(() => remove(path))} close=${() => ask(false)}>${say("sure_remove_schedule_more")}<//>`}
    </li>
  `;
}
