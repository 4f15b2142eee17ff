// Schedules: when a persona posts and where, with the next times; and the way to a new one, looked at before it is kept.

import { get, post, remove } from "../api.js";
import { useHouse } from "../house.js";
import { useAsked, useDoing } from "../ui/asked.js";
import { Button } from "../ui/button.js";
import { Card } from "../ui/card.js";
import { choicesOf, useVocabulary } from "../ui/choosing.js";
import { Dialog, Sure } from "../ui/dialog.js";
import { Choice, Field } from "../ui/field.js";
import { Problem } from "../ui/problem.js";
import { html, useState } from "../vdom.js";
import { moment, say } from "../views/saying.js";

/** How platforms know the chats of this page. */
const HERE = "web:home:";
const ELSEWHERE = "elsewhere";

export function Schedules({ schedules, changed, mayChange }) {
  const [adding, add] = useState(false);
  const items = schedules.found?.items ?? [];
  const actions = mayChange && html`<${Button} icon="plus" onClick=${() => add(true)}>${say("new_schedule")}<//>`;
  return html`
    <${Card} title=${say("schedules")} actions=${actions}>
      <${Problem} trouble=${schedules.trouble} again=${schedules.again} />
      ${schedules.found && items.length === 0 && html`<p class="soft">${say("no_schedules")}</p>`}
      <ul class="rows">
        ${items.map((one) => html`<${Schedule} key=${one.id} schedule=${one} changed=${changed} mayChange=${mayChange} />`)}
      </ul>
      ${adding && html`<${NewSchedule} changed=${changed} close=${() => add(false)} />`}
    <//>
  `;
}

function Schedule({ schedule, changed, mayChange }) {
  const { tell } = useHouse();
  const [doing, act] = useDoing(tell);
  const [sure, ask] = useState(false);
  const path = `/schedules/${schedule.id}`;
  const done = (work, word) =>
    act(async () => {
      await work();
      ask(false);
      if (word) tell(say(word), "good");
      changed();
    });
  const order = (what, word) => () => done(() => post(`${path}/${what}`), word);
  const rests = schedule.state !== "active";
  return html`
    <li class="row" data-schedule=${schedule.id}>
      <div class="row-words">
        <p class="row-title">${schedule.persona || say("pictures")} · ${schedule.when}${rests && html` <span class="mark">${say(`schedule_${schedule.state}`)}</span>`}</p>
        <p class="row-small">${[schedule.chat, schedule.theme, schedule.zone].filter(Boolean).join(" · ")}</p>
        ${schedule.next.length > 0 && html`<p class="row-small">${say("next_time", { when: moment(schedule.next[0], schedule.zone) })}</p>`}
        ${schedule.error && html`<p class="row-error">${schedule.error}</p>`}
      </div>
      ${mayChange &&
      html`
        <div class="row-actions">
          ${schedule.state === "active" && html`<${Button} busy=${doing} onClick=${order("pause")}>${say("pause")}<//>`}
          ${schedule.state === "paused" && html`<${Button} busy=${doing} onClick=${order("resume")}>${say("resume")}<//>`}
          ${schedule.persona_id && html`<${Button} busy=${doing} onClick=${order("run", "post_in_making")}>${say("post_now")}<//>`}
          ${schedule.state === "active" && html`<${Button} busy=${doing} onClick=${order("skip")}>${say("skip_next")}<//>`}
          <${Button} kind="danger" onClick=${() => ask(true)}>${say("remove")}<//>
        </div>
      `}
      ${sure && html`<${Sure} title=${say("sure_remove_schedule")} yes=${say("remove")} act=${() => done(() => remove(path))} close=${() => ask(false)}>${say("sure_remove_schedule_more")}<//>`}
    </li>
  `;
}

function NewSchedule({ changed, close }) {
  const { personas, styles } = useVocabulary();
  const talks = useAsked((signal) => get("/talks", { signal })).found?.items ?? [];
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const [typed, setTyped] = useState({ words: "daily 09:00", place: "", elsewhere: "", persona: "", theme: "", style: "", zone, approval: "no" });
  const [looked, look] = useState(null);
  const [trouble, setTrouble] = useState(null);
  const [doing, setDoing] = useState(false);
  const field = (name) => ({
    value: typed[name],
    change: (value) => {
      look(null);
      setTyped((now) => ({ ...now, [name]: value }));
    },
  });
  const places = [...talks.map((one) => [HERE + one.chat, `${one.persona?.name ?? one.chat} (${one.chat})`]), [ELSEWHERE, say("elsewhere")]];
  const place = typed.place || places[0][0];
  const ask = async (dry) => {
    setDoing(true);
    setTrouble(null);
    const wanted = { words: typed.words, chat: place === ELSEWHERE ? typed.elsewhere : place, approval: typed.approval, dry };
    for (const name of ["persona", "theme", "style", "zone"]) if (typed[name]) wanted[name] = typed[name];
    try {
      const told = await post("/schedules", wanted);
      if (dry) look(told);
      else {
        changed();
        close();
      }
    } catch (error) {
      setTrouble(error);
    }
    setDoing(false);
  };
  const actions = html`
    <${Button} onClick=${() => ask(true)} busy=${doing}>${say("show_times")}<//>
    <${Button} kind="good" onClick=${() => ask(false)} busy=${doing} disabled=${!looked}>${say("save")}<//>
  `;
  return html`
    <${Dialog} title=${say("new_schedule")} close=${close} actions=${actions}>
      <div class="form">
        <${Field} label=${say("when")} hint=${say("when_hint")} maxlength="1000" ...${field("words")} />
        <${Choice} label=${say("where")} value=${place} change=${field("place").change} choices=${places} />
        ${place === ELSEWHERE && html`<${Field} label=${say("elsewhere")} hint=${say("elsewhere_hint")} maxlength="200" ...${field("elsewhere")} />`}
        <${Choice} label=${say("persona")} choices=${choicesOf(personas, say("whoever_is_there"))} ...${field("persona")} />
        <${Field} label=${say("theme")} maxlength="1000" ...${field("theme")} />
        <${Choice} label=${say("style")} choices=${choicesOf(styles, say("as_usual"))} ...${field("style")} />
        <${Field} label=${say("zone")} maxlength="200" ...${field("zone")} />
        <${Choice} label=${say("approval")} choices=${["no", "skip", "post"].map((one) => [one, say(`approval_${one}`)])} ...${field("approval")} />
        <${Problem} trouble=${trouble} />
        ${looked &&
        html`
          <div role="status">
            <p>${say("next_times")}</p>
            <ul class="times">${looked.next.map((one) => html`<li key=${one}>${moment(one, looked.zone)}</li>`)}</ul>
          </div>
        `}
      </div>
    <//>
  `;
}
