// The place that somebody means: a chat of this page, or another by its number or its name on its platform.

import { get } from "../api.js";
import { useAsked } from "../ui/asked.js";
import { Choice, Field } from "../ui/field.js";
import { html } from "../vdom.js";
import { say } from "../views/saying.js";

/** How platforms know the chats of this page. */
const HERE = "web:home:";
const ELSEWHERE = "elsewhere";

/** A place as people call it: a chat of this page by its name, others as their platforms do. */
export const called = (chat) => (chat.startsWith(HERE) ? say("chat_called", { name: chat.slice(HERE.length) }) : chat);

/** Of a form in which nobody has said where yet. */
export const NOWHERE = { place: "", elsewhere: "" };

/**
 * `{place, fields}`: the place that is meant (empty: none is yet), and where it is chosen. `field(name)`: the fields of
 * the form, `place` and `elsewhere` among them. `stays`: how the place is called that it has already; as long as nobody
 * chooses another, none is meant.
 */
export function usePlace({ label, stays, field }) {
  const { found, loading } = useAsked((signal) => get("/talks", { signal }));
  const chosen = field("place").value;
  const talks = (found?.items ?? []).map((one) => [HERE + one.chat, `${one.persona?.name ?? one.chat} (${one.chat})`]);
  const staying = talks.find(([one]) => one === stays)?.[1] ?? stays;
  // Until the talks are known nothing is taken for what somebody means, and what they chose stays chosen.
  const unknown = chosen && chosen !== ELSEWHERE && !talks.some(([one]) => one === chosen);
  const choices = [
    ...(stays ? [["", staying]] : loading && !found ? [["", say("loading")]] : []),
    ...(unknown ? [[chosen, chosen.replace(HERE, "")]] : []),
    ...talks.filter(([one]) => one !== stays),
    [ELSEWHERE, say("elsewhere")],
  ];
  const value = chosen || choices[0][0];
  const fields = html`
    <${Choice} label=${label} choices=${choices} ...${field("place")} value=${value} />
    ${value === ELSEWHERE && html`<${Field} label=${say("elsewhere")} hint=${say("elsewhere_hint")} maxlength="200" ...${field("elsewhere")} />`}
  `;
  return { place: value === ELSEWHERE ? field("elsewhere").value.trim() : value, fields };
}

/** `7, #12` as numbers; what is none becomes a sentence. */
export function numbersIn(text) {
  const words = text.split(/[\s,]+/).filter(Boolean);
  if (words.every((one) => /^#?\d{1,9}$/.test(one))) return words.map((one) => Number(one.replace("#", "")));
  throw new Error(say("also_to_wrong", { told: text.slice(0, 40) }));
}

/** Whether two lists say the same. */
export const alike = (one, other) => JSON.stringify(one) === JSON.stringify(other);
