// There is nothing here yet, and what one may do about that.

import { html } from "../vdom.js";
import { Icon } from "./icon.js";

export function Empty({ icon = "talk", title, children }) {
  return html`
    <div class="empty">
      <${Icon} name=${icon} />
      <p class="empty-title">${title}</p>
      ${children && html`<div class="empty-more">${children}</div>`}
    </div>
  `;
}

export function Waiting({ label }) {
  return html`<p class="waiting" role="status"><span class="waiting-dots" aria-hidden="true"><i></i><i></i><i></i></span>${label}</p>`;
}
