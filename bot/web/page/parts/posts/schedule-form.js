// A schedule that is made, or changed: what is said of it, and its next times before anything is kept.

import { patch, post } from "../api.js";
import { Button } from "../ui/button.js";
import { choicesOf, useVocabulary } from "../ui/choosing.js";
import { Dialog } from "../ui/dialog.js";
import { Choice, Field, useName } from "../ui/field.js";
import { Problem } from "../ui/problem.js";
import { html, useEffect, useRef, useState } from "../vdom.js";
import { moment, say } from "../views/saying.js";
import { Before, Leave, useForm } from "./form.js";
import { alike, NOWHERE, numbersIn, usePlace } from "./places.js";

const APPROVALS = ["no", "skip", "post"];
const KINDS = ["both", "text-only", "picture-only"];

/** What stands in the fields of a new one. */
const fresh = () => ({
  words: "daily 09:00",
  persona: "",
  theme: "",
  style: "",
  zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  approval: "no",
  ahead: "",
  posts: "both",
  to: "",
  ...NOWHERE,
});

/** And of one that is there. */
function known({ when, zone, theme, options }) {
  const themes = options.themes ?? [];
  const { picture = true, text = true } = options;
  return {
    words: when,
    persona: "",
    theme: themes.length ? themes.join(" | ") : theme,
    style: options.style ?? "",
    zone,
    approval: options.approval || "no",
    ahead: options.ahead === undefined ? "" : spanIn(Math.round(options.ahead / 60)),
    posts: !picture ? "text-only" : !text ? "picture-only" : "both",
    to: (options.targets ?? []).join(", "),
    ...NOWHERE,
  };
}

/** Minutes as they are typed: `90m`, `2h`, `1d`. */
function spanIn(minutes) {
  const [unit, each] = [["d", 1440], ["h", 60]].find(([, one]) => minutes > 0 && minutes % one === 0) ?? ["m", 1];
  return minutes / each + unit;
}

/** What is to be sent of a new one: whatever is not as usual. */
function whole(typed, place) {
  const wanted = { words: typed.words, chat: place, approval: typed.approval, posts: typed.posts };
  for (const name of ["persona", "theme", "style", "zone", "ahead"]) if (typed[name]) wanted[name] = typed[name];
  const to = numbersIn(typed.to);
  return to.length ? { ...wanted, to } : wanted;
}

/** And of one that is there: whatever was changed. */
function changes(typed, before) {
  const wanted = {};
  for (const name of ["words", "theme", "style", "zone", "approval", "ahead", "posts"]) if (typed[name] !== before[name]) wanted[name] = typed[name];
  const to = numbersIn(typed.to);
  return alike(to, numbersIn(before.to)) ? wanted : { ...wanted, to };
}

/** Without a `schedule` it is a new one. */
export function ScheduleForm({ schedule, changed, close }) {
  const { personas, styles } = useVocabulary();
  const [before] = useState(() => (schedule ? known(schedule) : fresh()));
  const form = useForm(schedule ? `schedule.${schedule.id}` : "new-schedule", before);
  const { typed } = form;
  const [looked, look] = useState(null);
  const [trouble, setTrouble] = useState(null);
  const [doing, setDoing] = useState(false);
  const times = useRef(null);
  /** How often something was changed: times that were asked for before that are of another schedule. */
  const typing = useRef(0);
  const name = useName();
  // On a small screen they would come up out of sight.
  useEffect(() => times.current?.scrollIntoView({ block: "nearest" }), [looked]);
  const field = (one) => {
    const { value, change } = form.field(one);
    const told = (typedNow) => {
      typing.current += 1;
      look(null);
      change(typedNow);
    };
    return { value, change: told };
  };
  const where = usePlace({ label: say("where"), field });
  const untouched = schedule ? form.changed.length === 0 : !where.place;
  // Of pictures that are ordered by the clock only the clock is changed.
  const ofPosts = !schedule || schedule.persona_id !== null;
  const ask = async (dry) => {
    const asked = typing.current;
    setDoing(true);
    setTrouble(null);
    try {
      const order = whole(typed, where.place);
      const told = schedule
        ? await patch(`/schedules/${schedule.id}`, { ...changes(typed, before), dry })
        : await post("/schedules", dry ? { ...order, dry } : { ...order, key: form.keyOf(order) });
      if (!dry) {
        form.forget();
        changed();
        close();
        return;
      }
      if (asked === typing.current) look(told);
    } catch (error) {
      setTrouble(error);
    }
    setDoing(false);
  };
  // Whether what is being saved is there is waited for.
  const leave = () => doing || close();
  const away = () => {
    if (doing) return;
    form.forget();
    close();
  };
  const show = (event) => {
    event.preventDefault();
    if (!doing && !untouched) ask(true);
  };
  const actions = html`
    <${Leave} form=${form} away=${away} />
    <${Button} type="submit" form=${name} busy=${doing} disabled=${untouched}>${say("show_times")}<//>
    <${Button} kind="good" onClick=${() => ask(false)} busy=${doing} disabled=${!looked}>${say("save")}<//>
  `;
  return html`
    <${Dialog} title=${schedule ? say("edit_schedule", { id: String(schedule.id) }) : say("new_schedule")} close=${leave} actions=${actions}>
      <form id=${name} class="form" novalidate onSubmit=${show}>
        <${Before} form=${form} />
        <${Field} label=${say("when")} hint=${say("when_hint")} autofocus maxlength="1000" ...${field("words")} />
        ${!schedule && html`${where.fields}<${Choice} label=${say("persona")} choices=${choicesOf(personas, say("whoever_is_there"))} ...${field("persona")} />`}
        ${ofPosts && html`<${Field} label=${say("theme")} hint=${say("theme_hint", { bar: "|" })} maxlength="1000" ...${field("theme")} />`}
        ${ofPosts &&
        html`
          <div class="form-row">
            <${Choice} label=${say("what_is_posted")} choices=${KINDS.map((one) => [one, say(`kind_${one.replace("-", "_")}`)])} ...${field("posts")} />
            <${Choice} label=${say("style")} choices=${choicesOf(styles, say("as_usual"))} ...${field("style")} />
          </div>
          <div class="form-row">
            <${Choice} label=${say("approval")} choices=${APPROVALS.map((one) => [one, say(`approval_${one}`)])} ...${field("approval")} />
            <${Field} label=${say("made_ahead")} hint=${say("made_ahead_hint")} maxlength="200" ...${field("ahead")} />
          </div>
        `}
        <div class="form-row">
          <${Field} label=${say("zone")} maxlength="200" ...${field("zone")} />
          ${ofPosts && html`<${Field} label=${say("also_to")} hint=${say("also_to_hint")} maxlength="1000" ...${field("to")} />`}
        </div>
        <${Problem} trouble=${trouble} />
        ${looked &&
        html`
          <div ref=${times} class="coming" role="status">
            <p>${say("next_times")}</p>
            <ul class="times">${looked.next.map((one) => html`<li key=${one}>${moment(one, looked.zone)}</li>`)}</ul>
          </div>
        `}
      </form>
    <//>
  `;
}
