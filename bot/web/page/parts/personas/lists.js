// The lists of somebody: colours, LoRAs, outfits and poses, examples of talk, what they care about.

import { get } from "../api.js";
import { useAsked } from "../ui/asked.js";
import { Field, useName } from "../ui/field.js";
import { html } from "../vdom.js";
import { Rows } from "./rows.js";
import { AS_WRITTEN, say } from "./saying.js";

/** As many colours as a picture can be drawn in, and LoRAs as one can wear. */
const COLOURS = 8;
const WORN = 6;

export function Palette(list) {
  const show = ({ colour }, set, place) => html`
    <label class="swatch">
      <input type="color" value=${colour} aria-label=${say("colour_n", { n: place + 1 })} onInput=${(event) => set({ colour: event.target.value })} />
      <span class="swatch-code" aria-hidden="true">${colour}</span>
    </label>
  `;
  return html`<${Rows} ...${list} of="palette" class="typed-palette" hint=${say("palette_hint")} most=${COLOURS} show=${show} told=${({ colour }) => colour} />`;
}

/** A field with a sentence on what is wrong with it: nothing is saved until that is mended. */
const refused = (trouble) => ({ trouble: trouble || undefined, inner: (field) => field?.setCustomValidity(trouble || "") });

export function Loras(list) {
  const { found } = useAsked((signal) => get("/loras", { signal }));
  const name = useName();
  const there = (found?.items ?? []).map((one) => one.name);
  // By their names they are kept: of two rows with the same one only the last would be left.
  const twice = (row, place) => list.value.slice(0, place).some((one) => one.name.trim() !== "" && one.name.trim() === row.name.trim());
  const show = (row, set, place) => html`
    <${Field} label=${say("lora")} ...${refused(twice(row, place) && say("lora_twice"))} value=${row.name} change=${(text) => set({ name: text })} list=${name} maxlength="80" required autocomplete="off" spellcheck=${false} />
    <${Field} class="typed-small" label=${say("weight")} type="number" min="-2" max="2" step="any" required value=${row.weight} change=${(weight) => set({ weight })} />
  `;
  const hint = found && (there.length > 0 ? say("loras_there", { names: there.slice(0, 8).join(", ") }) : say("loras_none"));
  return html`
    <${Rows} ...${list} of="loras" hint=${hint || undefined} most=${WORN} show=${show} told=${(row) => row.name} />
    <datalist id=${name}>${there.map((one) => html`<option key=${one} value=${one}></option>`)}</datalist>
  `;
}

/** Outfits or poses. */
export function Described({ hint, ...list }) {
  const show = (row, set) => html`
    <${Field} class="typed-name" label=${say("name")} value=${row.name} change=${(name) => set({ name })} maxlength="200" required />
    <${Field} class="typed-words" label=${say("in_words")} rows="3" value=${row.description} change=${(description) => set({ description })} maxlength="2000" required />
  `;
  return html`<${Rows} ...${list} of="described" hint=${hint} show=${show} told=${(row) => row.name} />`;
}

export function Examples(list) {
  const show = (row, set, place) => html`<${Field} label=${say("example_n", { n: place + 1 })} rows="4" value=${row.text} change=${(text) => set({ text })} />`;
  return html`<${Rows} ...${list} of="examples" hint=${say("examples_hint", AS_WRITTEN)} show=${show} told=${(row) => row.text.split("\n")[0].slice(0, 40)} />`;
}

export function Interests(list) {
  const lines = (row, set, name) => ({ rows: "2", label: say(`interest_${name}`), value: row[name], change: (text) => set({ [name]: text }) });
  const show = (row, set) => html`
    <${Field} label=${say("what_it_is")} value=${row.name} change=${(name) => set({ name })} maxlength="2000" required />
    <${Field} ...${lines(row, set, "words")} hint=${say("interest_words_hint")} />
    <${Field} ...${lines(row, set, "remarks")} hint=${say("one_a_line")} />
    <${Field} ...${lines(row, set, "questions")} hint=${say("one_a_line")} />
  `;
  return html`<${Rows} ...${list} of="interests" class="typed-wide" show=${show} told=${(row) => row.name} />`;
}
