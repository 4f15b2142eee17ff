// A button, or a link that looks like one. With `icon` and `label` alone it is a small round one.

import { html } from "../vdom.js";
import { Icon } from "./icon.js";

/** `kind`: plain, good, danger or quiet. `busy`: it was pressed, and is not to be pressed again yet. */
export function Button({ kind = "plain", icon, label, href, busy = false, class: more = "", children, ...rest }) {
  const bare = label !== undefined && !children;
  const look = `button button-${kind}${bare ? " button-bare" : ""} ${more}`;
  const inside = html`${icon && html`<${Icon} name=${icon} />`}${children && html`<span>${children}</span>`}`;
  if (href) return html`<a class=${look} href=${href} aria-label=${label} title=${bare ? label : undefined} ...${rest}>${inside}</a>`;
  return html`
    <button
      type="button"
      class=${look}
      aria-label=${label}
      title=${bare ? label : undefined}
      aria-busy=${busy ? "true" : undefined}
      ...${rest}
      onClick=${busy ? undefined : rest.onClick}
    >
      ${inside}
    </button>
  `;
}
