// What is filled in: a label, its field, and a word on what is meant.

import { newKey } from "../api.js";
import { html, useState } from "../vdom.js";

function useName() {
  const [name] = useState(() => `field-${newKey()}`);
  return name;
}

/** `change(text)` is told what stands there. `rows` makes it a field of several lines; `inner` is a ref to it. */
export function Field({ label, value, change, hint, rows, inner, class: more = "", ...rest }) {
  const name = useName();
  const told = (event) => change(event.target.value);
  const common = { ref: inner, id: name, class: "field", value, onInput: told, "aria-describedby": hint ? `${name}-hint` : undefined, ...rest };
  return html`
    <div class="labelled ${more}">
      <label for=${name}>${label}</label>
      ${rows ? html`<textarea rows=${rows} ...${common}></textarea>` : html`<input ...${common} />`}
      ${hint && html`<p class="hint" id=${`${name}-hint`}>${hint}</p>`}
    </div>
  `;
}

/** `choices`: `[value, words]`. */
export function Choice({ label, value, change, choices, class: more = "", ...rest }) {
  const name = useName();
  return html`
    <div class="labelled ${more}">
      <label for=${name}>${label}</label>
      <select id=${name} class="field" value=${value} onChange=${(event) => change(event.target.value)} ...${rest}>
        ${choices.map(([one, words]) => html`<option key=${one} value=${one} selected=${one === value}>${words}</option>`)}
      </select>
    </div>
  `;
}

export function Check({ label, checked, change }) {
  const name = useName();
  return html`
    <div class="check">
      <input id=${name} type="checkbox" checked=${checked} onChange=${(event) => change(event.target.checked)} />
      <label for=${name}>${label}</label>
    </div>
  `;
}
