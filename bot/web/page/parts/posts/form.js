// What is typed into a form over what stands in its fields: it stays while somebody closes it or looks at something else,
// until it is saved or thrown away.

import { newKey } from "../api.js";
import { useTyped } from "../kept.js";
import { Button } from "../ui/button.js";
import { Sure } from "../ui/dialog.js";
import { html, useState } from "../vdom.js";
import { say } from "../views/saying.js";

const KEPT = {
  read: (kept) => JSON.parse(kept || "{}"),
  written: (changed) => (Object.keys(changed).length > 0 ? JSON.stringify(changed) : ""),
};

const SENT = {
  read: (kept) => JSON.parse(kept || "null"),
  written: (sent) => (sent ? JSON.stringify(sent) : ""),
};

/**
 * `name`: under which it is kept, another one for each row. `before`: what stands in the fields. Answers what stands there
 * now, the names of the fields where that is something else, whether it was there when the form came, a field by its
 * name, the key of an order, and how to forget what was typed.
 */
export function useForm(name, before) {
  // Only what is otherwise: whatever somebody else changes meanwhile shows all the same.
  const [changed, change] = useTyped(name, KEPT);
  const [sent, keepSent] = useTyped(`${name}.sent`, SENT);
  const set = (one) => (value) => change(({ [one]: _before, ...others }) => (value === before[one] ? others : { ...others, [one]: value }));
  const typed = { ...before, ...changed };
  const names = Object.keys(changed).filter((one) => one in before && changed[one] !== before[one]);
  const [came] = useState(names.length > 0);
  return {
    typed,
    changed: names,
    came,
    field: (one) => ({ value: typed[one], change: set(one) }),
    /** Sent once more because no answer came, it is the same order; with anything changed it is another. */
    keyOf: (order) => {
      const told = JSON.stringify(order);
      if (sent?.told === told) return sent.key;
      const key = newKey();
      keepSent({ key, told });
      return key;
    },
    forget: () => {
      change({});
      keepSent(null);
    },
  };
}

/** For whoever comes back to it: what they see there is not what is kept. */
export function Before({ form }) {
  return form.came && form.changed.length > 0 && html`<p class="soft unsaved" role="status">${say("typed_before")}</p>`;
}

/** The way out of a form that keeps nothing: `away()` is called once somebody has said twice that what they typed may go. */
export function Leave({ form, away }) {
  const [sure, ask] = useState(false);
  if (form.changed.length === 0) return html`<${Button} kind="quiet" onClick=${away}>${say("cancel")}<//>`;
  return html`
    <${Button} kind="quiet" onClick=${() => ask(true)}>${say("throw_away")}<//>
    ${sure && html`<${Sure} title=${say("sure_throw_away")} yes=${say("throw_away")} act=${away} close=${() => ask(false)}>${say("sure_throw_away_more")}<//>`}
  `;
}
