// Who speaks: their picture, or the first letters of their name while there is none.

import { part } from "../api.js";
import { html, useEffect, useState } from "../vdom.js";

const SHADES = 6;

export function Face({ slug, name, size = "medium" }) {
  const [lost, setLost] = useState(false);
  useEffect(() => setLost(false), [slug]);
  const look = `face face-${size} face-shade-${shade(slug || name)}`;
  if (!slug || lost) return html`<span class=${look} aria-hidden="true">${letters(name)}</span>`;
  return html`<img class=${look} src="/api/v1/personas/${part(slug)}/face" alt="" loading="lazy" decoding="async" onError=${() => setLost(true)} />`;
}

function letters(name = "") {
  const words = name.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word));
  return words
    .slice(0, 2)
    .map((word) => [...word][0])
    .join("")
    .toUpperCase();
}

function shade(text = "") {
  let sum = 0;
  for (const letter of text) sum = (sum * 31 + letter.codePointAt(0)) % 9973;
  return sum % SHADES;
}
