// The place that somebody means: a chat of this page, or another by its number or its name on its platform.

import { get } from "../api.js";
import { useAsked } from "../ui/asked.js";
import { Choice, Field } from "../ui/field.js";
import { html, useState } from "../vdom.js";
import { say } from "../views/saying.js";

/** How platforms know the chats of this page. */
const HERE = "web:home:";
const ELSEWHERE = "elsewhere";

/**
 * `{place, fields}`: the place that is meant (empty: none is yet), and where it is chosen. `stays`: how the place is
 * called that it has already; as long as nobody chooses another, none is meant. `changed()` is told of a choice.
 */
export function usePlace({ label, stays, changed }) {
  const talks = useAsked((signal) => get("/talks", { signal })).found?.items ?? [];
  const [chosen, choose] = useState(null);
  const [typed, setTyped] = useState("");
  const choices = [
    ...(stays ? [["", stays]] : []),
    ...talks.map((one) => [HERE + one.chat, `${one.persona?.name ?? one.chat} (${one.chat})`]),
    [ELSEWHERE, say("elsewhere")],
  ];
  const value = chosen ?? choices[0][0];
  const told = (set) => (text) => {
    changed?.();
    set(text);
  };
  const fields = html`
    <${Choice} label=${label} value=${value} change=${told(choose)} choices=${choices} />
    ${value === ELSEWHERE && html`<${Field} label=${say("elsewhere")} hint=${say("elsewhere_hint")} maxlength="200" value=${typed} change=${told(setTyped)} />`}
  `;
  return { place: value === ELSEWHERE ? typed.trim() : value, fields };
}

/** `7, #12` as numbers; what is none becomes a sentence. */
export function numbersIn(text) {
  const words = text.split(/[\s,]+/).filter(Boolean);
  if (words.every((one) => /^#?\d{1,9}$/.test(one))) return words.map((one) => Number(one.replace("#", "")));
  throw new Error(say("also_to_wrong", { told: text.slice(0, 40) }));
}

/** Whether two lists say the same. */
export const alike = (one, other) => JSON.stringify(one) === JSON.stringify(other);
