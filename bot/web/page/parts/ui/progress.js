// How far something is. Without a value it moves, and says only that something is going on.

import { html } from "../vdom.js";

export function Progress({ value, max = 1, label, children }) {
  return html`
    <div class="progress">
      <progress class="bar" value=${value ?? undefined} max=${max} aria-label=${label}></progress>
      ${children && html`<span class="progress-words">${children}</span>`}
    </div>
  `;
}
