// One field of somebody's editor, by its kind.

import { RATINGS } from "../views/gallery.js";
import { choicesOf } from "../ui/choosing.js";
import { Choice, Field } from "../ui/field.js";
import { html } from "../vdom.js";
import { Lorebook } from "./book.js";
import { nameOf } from "./fields.js";
import { Described, Examples, Interests, Loras, Palette } from "./lists.js";
import { AS_WRITTEN, say } from "./saying.js";

const ROWS = { words: 4, lines: 3, paragraphs: 5 };
const LISTS = { palette: Palette, loras: Loras, described: Described, examples: Examples, interests: Interests, lorebook: Lorebook };
/** Kinds and fields of which more is to be said than their name. */
const HINTS = { lines: "one_a_line", paragraphs: "blank_lines_between" };
const HINTED = ["appearance.wardrobe", "appearance.poses", "picture.instructions", "system_prompt", "sampling.dry", "sampling.xtc", "sampling.xtc_threshold", "sampling.temperature", "sampling.top_p", "sampling.min_p"];

export function Input({ path, kind, least = 0, most, step = "any", styles, ...field }) {
  const hint = HINTED.includes(path) ? say(`hint_${nameOf(path)}`, AS_WRITTEN) : HINTS[kind] && say(HINTS[kind]);
  const list = LISTS[kind];
  if (list) return html`<${list} ...${field} hint=${hint} />`;
  if (kind === "rating") return html`<${Choice} ...${field} choices=${RATINGS.map((one) => [one, say(`rating_${one.replace("-", "_")}`)])} />`;
  if (kind === "style") {
    const named = choicesOf(styles, "").slice(1);
    // A style that is no more is still theirs until they take another one.
    const there = named.some(([one]) => one === field.value) ? named : [[field.value, field.value], ...named];
    return html`<${Choice} ...${field} choices=${there} />`;
  }
  if (kind === "number") return html`<${Field} ...${field} type="number" min=${least} max=${most} step=${step} inputmode="decimal" hint=${hint} />`;
  return html`<${Field} ...${field} rows=${ROWS[kind]} hint=${hint} />`;
}
