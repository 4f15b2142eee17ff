// What somebody's world knows: entries that are told when the talk comes near them. One that is not looked at is a line.

import { Check, Choice, Field } from "../ui/field.js";
import { Icon } from "../ui/icon.js";
import { html, useState } from "../vdom.js";
import { Rows } from "./rows.js";
import { say } from "./saying.js";

/** Of so many on, one looks for an entry. */
const MANY = 10;
const POSITIONS = ["before_char", "after_char"];

/** `value`: `{book, name, scan_depth, token_budget, recursive_scanning, rows}`. */
export function Lorebook({ label, value, change, trouble }) {
  const [sought, seek] = useState("");
  const put = (name) => (told) => change({ ...value, [name]: told });
  const field = (name) => ({ value: value[name], change: put(name) });
  const whole = { type: "number", min: "0", max: "1000000", step: "1", inputmode: "numeric" };
  const shown = (row) => !sought || row.fresh || `${row.name}\n${row.keys}\n${row.content}`.toLowerCase().includes(sought.toLowerCase());
  return html`
    ${value.rows.length >= MANY && html`<${Field} label=${say("find_entry")} type="search" value=${sought} change=${seek} />`}
    <${Rows}
      label=${label}
      hint=${say("lorebook_hint")}
      trouble=${trouble}
      of="entries"
      class="typed-wide"
      value=${value.rows}
      change=${put("rows")}
      show=${(row, set, place) => shown(row) && html`<${Entry} row=${row} set=${set} place=${place} />`}
      told=${calledOf}
    />
    ${(value.book || value.rows.length > 0) &&
    html`
      <div class="form-row">
        <${Field} label=${say("book_name")} maxlength="200" ...${field("name")} />
        <${Field} label=${say("scan_depth")} hint=${say("scan_depth_hint")} ...${whole} ...${field("scan_depth")} />
        <${Field} label=${say("token_budget")} hint=${say("as_the_house")} ...${whole} ...${field("token_budget")} />
      </div>
      <div class="checks"><${Check} label=${say("recursive_scanning")} checked=${value.recursive_scanning} change=${put("recursive_scanning")} /></div>
    `}
  `;
}

const calledOf = (row) => row.name || row.keys.split("\n")[0] || row.content.slice(0, 40);

function Entry({ row, set, place }) {
  const [open, setOpen] = useState(row.fresh ?? false);
  const field = (name) => ({ value: row[name], change: (told) => set({ [name]: told }) });
  const check = (name) => html`<${Check} label=${say(`entry_${name}`)} checked=${row[name]} change=${(told) => set({ [name]: told })} />`;
  const positions = [...new Set([...POSITIONS, row.position])];
  const number = { type: "number", step: "any", required: true };
  return html`
    <div class="entry-of-book ${row.enabled ? "" : "entry-off"}">
      <button type="button" class="entry-head" aria-expanded=${open ? "true" : "false"} onClick=${() => setOpen(!open)}>
        <${Icon} name="forth" />
        <span class="entry-name">${calledOf(row) || say("entry_n", { n: place + 1 })}</span>
        ${!row.enabled && html`<span class="mark">${say("entry_is_off")}</span>`}
        ${row.constant && html`<span class="mark">${say("entry_is_constant")}</span>`}
      </button>
      ${open &&
      html`
        <${Field} label=${say("name")} maxlength="200" ...${field("name")} />
        <${Field} label=${say("entry_keys")} hint=${say("entry_keys_hint")} rows="3" ...${field("keys")} />
        <${Field} label=${say("entry_content")} rows="4" ...${field("content")} />
        <div class="checks">${["enabled", "constant", "case_sensitive", "use_regex", "selective"].map(check)}</div>
        ${row.selective && html`<${Field} label=${say("entry_secondary_keys")} hint=${say("one_a_line")} rows="2" ...${field("secondary_keys")} />`}
        <${Choice} label=${say("entry_position")} choices=${positions.map((one) => [one, POSITIONS.includes(one) ? say(`position_${one}`) : one])} ...${field("position")} />
        <div class="form-row">
          <${Field} label=${say("entry_order")} hint=${say("entry_order_hint")} ...${number} ...${field("insertion_order")} />
          <${Field} label=${say("entry_priority")} hint=${say("entry_priority_hint")} ...${number} ...${field("priority")} />
        </div>
      `}
    </div>
  `;
}
