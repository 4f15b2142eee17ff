// Facts under their names. What there is nothing of is left out.

import { html } from "../vdom.js";

/** `facts`: `[name, value]`. */
export function Facts({ facts }) {
  const told = facts.filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false);
  if (told.length === 0) return null;
  return html`
    <dl class="facts">
      ${told.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
    </dl>
  `;
}
