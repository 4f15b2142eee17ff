// Facts under their names. What there is nothing of is left out.

import { html } from "../vdom.js";

/** `facts`: `[name, value, wide]`; a wide one has a row to itself. */
export function Facts({ facts }) {
  const told = facts.filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false);
  if (told.length === 0) return null;
  return html`
    <dl class="facts">
      ${told.map(([name, value, wide]) => html`<div key=${name} class=${wide ? "facts-wide" : undefined}><dt>${name}</dt><dd>${value}</dd></div>`)}
    </dl>
  `;
}
