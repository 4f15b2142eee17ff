// What stands in a field of somebody's, to read.

import { html } from "../vdom.js";
import { number, say } from "./saying.js";

/** What is longer has a row to itself. */
const SHORT = 60;
const LONG = ["words", "described", "examples", "interests", "lorebook"];

export function told(value, kind) {
  if (value === null || value === undefined || value === "" || value.length === 0) return null;
  if (TELLS[kind]) return TELLS[kind](value);
  if (Array.isArray(value) && value.every((one) => one.length < SHORT / 2)) return value.join(" · ");
  if (Array.isArray(value)) return list(value);
  return html`<span class="words-plain">${String(value)}</span>`;
}

export const isWide = (value, kind) => LONG.includes(kind) || (!["number", "rating", "palette", "loras"].includes(kind) && (Array.isArray(value) || String(value).length > SHORT));

const list = (lines) => html`<ul class="plain">${lines.map((one, place) => html`<li key=${place} class="words-plain">${one}</li>`)}</ul>`;

const TELLS = {
  number: (value) => number(value),
  rating: (value) => say(`rating_${value.replace("-", "_")}`),
  palette: (colours) => html`<span class="swatches">${colours.map((one, place) => html`<span key=${place} class="swatch-code"><i class="swatch-dot" style=${{ background: one }}></i>${one}</span>`)}</span>`,
  loras: (weights) => Object.entries(weights).map(([name, weight]) => `${name} (${number(weight)})`).join(" · ") || null,
  described: (those) => list(those.map(({ name, description }) => `${name}: ${description}`)),
  interests: (those) => those.map(({ name }) => name).join(" · "),
  examples: list,
  lorebook: ({ entries }) => entries.length > 0 && list(entries.map((one) => [one.name || one.keys[0], one.content.slice(0, 160)].filter(Boolean).join(": "))),
};
