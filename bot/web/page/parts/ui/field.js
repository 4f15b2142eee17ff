// What is filled in: a label, its field, and a word on what is meant.

import { newKey } from "../api.js";
import { html, useState } from "../vdom.js";

export function useName() {
  const [name] = useState(() => `field-${newKey()}`);
  return name;
}

/**
 * `change(text)` is told what stands there. `rows` makes it a field of several lines; `inner` is a ref to it. `trouble`:
 * what is wrong with what stands there.
 */
export function Field({ label, value, change, hint, trouble, rows, inner, class: more = "", ...rest }) {
  const name = useName();
  const told = (event) => change(event.target.value);
  const common = { ref: inner, id: name, class: "field", value, onInput: told, ...described(name, hint, trouble), ...rest };
  return html`
    <div class="labelled ${more}">
      <label for=${name}>${label}</label>
      ${rows ? html`<textarea rows=${rows} ...${common}></textarea>` : html`<input ...${common} />`}
      ${hint && html`<p class="hint" id=${`${name}-hint`}>${hint}</p>`}
      <${FieldTrouble} name=${name} trouble=${trouble} />
    </div>
  `;
}

/** Which words beside a field belong to it. */
export function described(name, hint, trouble) {
  const words = [hint && `${name}-hint`, trouble && `${name}-trouble`].filter(Boolean).join(" ");
  return { "aria-describedby": words || undefined, "aria-invalid": trouble ? "true" : undefined };
}

export function FieldTrouble({ name, trouble }) {
  return trouble ? html`<p class="field-trouble" id=${`${name}-trouble`}>${trouble}</p>` : null;
}

/** `choices`: `[value, words]`. */
export function Choice({ label, value, change, choices, hint, trouble, class: more = "", ...rest }) {
  const name = useName();
  return html`
    <div class="labelled ${more}">
      <label for=${name}>${label}</label>
      <select id=${name} class="field" value=${value} onChange=${(event) => change(event.target.value)} ...${described(name, hint, trouble)} ...${rest}>
        ${choices.map(([one, words]) => html`<option key=${one} value=${one} selected=${one === value}>${words}</option>`)}
      </select>
      ${hint && html`<p class="hint" id=${`${name}-hint`}>${hint}</p>`}
      <${FieldTrouble} name=${name} trouble=${trouble} />
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
