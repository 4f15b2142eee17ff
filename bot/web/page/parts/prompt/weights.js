// Chips that give the marked words of a field a weight, `(words:1.2)`, or take it away again.

import { html, useState } from "../vdom.js";
import { number, say } from "../views/saying.js";

const WEIGHTS = [0.6, 0.8, 1.1, 1.2, 1.4];
const WEIGHTED = /^\((.*):[\d.]+\)$/s;

export function Weights({ field, change }) {
  const [told, tell] = useState("");
  const weigh = (weight) => () => {
    const area = field.current;
    const { value, selectionStart: from, selectionEnd: to } = area;
    const marked = value.slice(from, to);
    const bare = marked.trim().replace(WEIGHTED, "$1");
    if (!bare) {
      tell(say("mark_words"));
      return;
    }
    tell("");
    const weighed = marked.replace(marked.trim(), () => (weight === 1 ? bare : `(${bare}:${weight})`));
    change(value.slice(0, from) + weighed + value.slice(to));
    requestAnimationFrame(() => {
      area.focus();
      area.setSelectionRange(from, from + weighed.length);
    });
  };
  return html`
    <div class="chips" role="group" aria-label=${say("weight")}>
      <span class="chips-name" aria-hidden="true">${say("weight")}</span>
      ${WEIGHTS.map((one) => html`<button key=${one} type="button" class="chip" onClick=${weigh(one)}>${number(one)}</button>`)}
      <button type="button" class="chip" onClick=${weigh(1)}>${say("no_weight")}</button>
      <span class="hint" role="status">${told}</span>
    </div>
  `;
}
