// How a prompt is read: its words, its tokens for each encoder, its weights, and what is odd about it.

import { Facts } from "../ui/facts.js";
import { html } from "../vdom.js";
import { number, say } from "../views/saying.js";

export function Looked({ found, stale }) {
  const { tokens, looked, weights } = found;
  const counted = tokens.encoders.map((read, place) => (tokens.estimated ? say("about", { n: read }) : say("encoder_reads", { n: read, encoder: place + 1 })));
  const odd = [
    !looked.of_length && say("odd_length"),
    looked.words_cut > 0 && say("odd_cut", { n: looked.words_cut }),
    looked.contradictions.length > 0 && say("odd_contradictions", { words: looked.contradictions.join(", ") }),
    looked.blocked.length > 0 && say("odd_blocked", { words: looked.blocked.join(", ") }),
    looked.repeated.length > 0 && say("odd_repeated", { words: looked.repeated.map((one) => one.word).join(", ") }),
  ].filter(Boolean);
  const facts = [
    [say("words_count"), number(found.words)],
    [say("tokens"), counted.join(" · ")],
    [say("chunks"), number(tokens.chunks)],
    [say("counted_by"), tokens.model],
    [say("words_by"), say(`source_${found.source}`)],
    [say("style"), found.style],
    [say("size"), `${found.width} × ${found.height}`],
    [say("negative"), found.negative, true],
  ];
  return html`
    <div class="looked-at ${stale ? "looked-stale" : ""}">
      ${stale && html`<p class="hint" role="status">${say("count_is_old")}</p>`}
      <${Facts} facts=${facts} />
      ${weights.length > 0 && html`<ul class="tags" aria-label=${say("weights")}>${weights.map((one) => html`<li key=${one.text} class="mark">${one.text} · ${number(one.weight)}</li>`)}</ul>`}
      ${odd.length > 0 && html`<ul class="reasons">${odd.map((one) => html`<li key=${one}>${one}</li>`)}</ul>`}
    </div>
  `;
}
