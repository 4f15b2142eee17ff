// A list in a form: rows that are added and removed. Whoever works by keyboard stays where they were.

import { Button } from "../ui/button.js";
import { FieldTrouble, useName } from "../ui/field.js";
import { html, useLayoutEffect, useRef } from "../vdom.js";
import { newRow } from "./kinds.js";
import { say } from "./saying.js";

/**
 * `show(row, set, place)` draws the fields of one, or nothing where it is not to be seen; `set({name: value})` changes
 * some of it. `of`: how a row begins, by its kind. `told(row)`: a row in a few words, for whoever hears which one they
 * remove.
 */
export function Rows({ label, hint, trouble, value, change, of, show, told, most = Infinity, class: more = "" }) {
  const name = useName();
  const list = useRef(null);
  /** Where the focus goes once the rows are drawn: the number of a row. */
  const next = useRef(null);
  useLayoutEffect(() => {
    if (next.current === null) return;
    const row = list.current.children[Math.min(next.current, value.length - 1)];
    const field = row?.querySelector("input, select, textarea, button") ?? list.current.parentElement.querySelector(".rows-add");
    next.current = null;
    field?.focus();
  }, [value.length]);
  const add = () => {
    next.current = value.length;
    change([...value, newRow(of)]);
  };
  const remove = (place) => {
    next.current = place;
    change(value.filter((_one, at) => at !== place));
  };
  const set = (place) => (changed) => change(value.map((one, at) => (at === place ? { ...one, ...changed } : one)));
  const words = [hint && `${name}-hint`, trouble && `${name}-trouble`].filter(Boolean).join(" ");
  return html`
    <fieldset class="typed-rows ${more}" aria-describedby=${words || undefined} data-trouble=${trouble ? "" : undefined} tabindex=${trouble ? "-1" : undefined}>
      <legend>${label}</legend>
      ${hint && html`<p class="hint" id=${`${name}-hint`}>${hint}</p>`}
      <ol class="typed-list" ref=${list}>
        ${value.map((row, place) => {
          const inside = show(row, set(place), place);
          return html`
            <li key=${row.key} class="typed-row" hidden=${!inside}>
              ${inside}
              <${Button} kind="quiet" class="typed-away" icon="close" label=${say("remove_row", { label, row: told(row) || place + 1 })} onClick=${() => remove(place)} />
            </li>
          `;
        })}
      </ol>
      <${FieldTrouble} name=${name} trouble=${trouble} />
      ${value.length < most && html`<div><${Button} class="rows-add" icon="plus" onClick=${add}>${say(`add_${of}`)}<//></div>`}
    </fieldset>
  `;
}
