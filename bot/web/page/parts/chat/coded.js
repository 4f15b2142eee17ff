// Plain words, with the passages in them that are to be copied as they stand. The house names these: whole lines.

import { Code } from "../markdown.js";
import { html } from "../vdom.js";

export function Coded({ text, code = [] }) {
  const parts = partsOf(text, code);
  if (parts.length === 1 && !parts[0].code) return html`<div class="words words-plain">${text}</div>`;
  return html`
    <div class="words words-coded">
      ${parts.map((one, place) => (one.code ? html`<${Code} key=${place} text=${one.text} />` : html`<div key=${place} class="words-plain">${one.text}</div>`))}
    </div>
  `;
}

/** The words, piece by piece. A short passage may also be a word of the sentences around it, so only lines count. */
export function partsOf(text, code) {
  const parts = [];
  let read = 0;
  const upTo = (end) => {
    const words = text.slice(read, end).replace(/^\n+|\n+$/g, "");
    if (words) parts.push({ text: words, code: false });
  };
  for (const passage of code) {
    const start = passage.trim() ? `\n${text}\n`.indexOf(`\n${passage}\n`, read) : -1;
    if (start < 0) continue;
    upTo(start);
    parts.push({ text: passage, code: true });
    read = start + passage.length;
  }
  upTo(text.length);
  return parts;
}
