// A sheet of paper with a title, and what can be done with it.

import { html } from "../vdom.js";

export function Card({ title, actions, children, class: more = "" }) {
  return html`
    <section class="card ${more}">
      ${(title || actions) && html`<header class="card-head">${title && html`<h2>${title}</h2>`}<div class="card-actions">${actions}</div></header>`}
      ${children}
    </section>
  `;
}
