// The frame of a view: its title, what can be done here, and the rest below.

import { html } from "../vdom.js";
import { Button } from "./button.js";

/** `back`: `{href, label}` of the list that this came from. */
export function Page({ title, back, actions, children, class: more = "" }) {
  return html`
    <div class="page ${more}">
      <header class="page-head">
        ${back && html`<${Button} kind="quiet" icon="back" label=${back.label} href=${back.href} />`}
        <h1>${title}</h1>
        ${actions && html`<div class="page-actions">${actions}</div>`}
      </header>
      ${children}
    </div>
  `;
}
