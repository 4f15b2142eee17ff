// Markdown as nodes: marked takes the words apart, and each piece becomes an element or plain text. No text is ever
// read as HTML, and a link goes to the web or to a mailbox, or nowhere.

import { Marked } from "../vendor/marked-18.2.1.esm.js";
import { Copied } from "./ui/copied.js";
import { html, useMemo, useState } from "./vdom.js";
import { say } from "./words.js";

/** More is shown as it was written: nobody writes so much by hand, and taking it apart takes time. */
const LONGEST = 20_000;
const DEEPEST = 12;
const SPOILER = /^\|\|(?=\S)([\s\S]*?\S)\|\|/;

const marked = new Marked({ gfm: true, breaks: true });
marked.use({
  // HTML is words like any other, and whoever begins a line with blanks does not mean code.
  tokenizer: { html: nothing, tag: nothing, code: nothing },
  extensions: [
    {
      name: "spoiler",
      level: "inline",
      start(source) {
        const found = source.indexOf("||");
        return found < 0 ? undefined : found;
      },
      tokenizer(source) {
        const found = SPOILER.exec(source);
        return found ? { type: "spoiler", raw: found[0], tokens: this.lexer.inlineTokens(found[1]) } : undefined;
      },
    },
  ],
});

export function Markdown({ text }) {
  const tokens = useMemo(() => taken(text), [text]);
  if (tokens === null) return html`<div class="words words-plain">${text}</div>`;
  return html`<div class="words">${blocks(tokens, 0)}</div>`;
}

/** The same without its signs, on one line: for a list, and for whoever hears the page. What is hidden stays so. */
export function plainWords(text) {
  const tokens = taken(text);
  return (tokens === null ? text : tokens.map(plain).join(" ")).replace(/\s+/g, " ").trim();
}

function plain(token) {
  if (token.type === "spoiler") return "…";
  if (token.type === "list") return token.items.map(plain).join(" ");
  if (token.type === "table") return [token.header, ...token.rows].flat().map(plain).join(" ");
  if (["br", "hr", "space", "def"].includes(token.type)) return " ";
  return token.tokens ? token.tokens.map(plain).join("") : readable(token);
}

/** The pieces; null where they cannot be had. */
function taken(text) {
  if (text.length > LONGEST) return null;
  try {
    return marked.lexer(text);
  } catch {
    return null; // nested beyond all bounds
  }
}

function blocks(tokens, depth) {
  return tokens.map((token) => block(token, depth));
}

function block(token, depth) {
  if (depth > DEEPEST) return token.raw;
  const inside = () => blocks(token.tokens ?? [], depth + 1);
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "paragraph":
      return html`<p>${words(token.tokens, depth)}</p>`;
    case "heading":
      // The page has headings of its own: these are loud words in a message.
      return html`<p class="words-heading words-heading-${Math.min(token.depth, 3)}">${words(token.tokens, depth)}</p>`;
    case "code":
      return html`<${Code} text=${token.text} language=${(token.lang ?? "").split(/\s/)[0]} />`;
    case "blockquote":
      return html`<blockquote>${inside()}</blockquote>`;
    case "hr":
      return html`<hr />`;
    case "list":
      return list(token, depth);
    case "table":
      return table(token, depth);
    default:
      return token.tokens ? words(token.tokens, depth) : readable(token);
  }
}

function list(token, depth) {
  const items = token.items.map((item) => html`<li>${blocks(item.tokens, depth + 1)}</li>`);
  return token.ordered ? html`<ol start=${token.start || 1}>${items}</ol>` : html`<ul>${items}</ul>`;
}

function table(token, depth) {
  const cell = (one, tag) => html`<${tag} class="words-${one.align ?? "left"}">${words(one.tokens, depth)}<//>`;
  return html`
    <div class="words-table" role="region" tabindex="0" aria-label=${say("table")}>
      <table>
        <thead>
          <tr>
            ${token.header.map((one) => cell(one, "th"))}
          </tr>
        </thead>
        <tbody>
          ${token.rows.map((row) => html`<tr>${row.map((one) => cell(one, "td"))}</tr>`)}
        </tbody>
      </table>
    </div>
  `;
}

function words(tokens = [], depth = 0) {
  return tokens.map((token) => word(token, depth + 1));
}

function word(token, depth) {
  if (depth > DEEPEST) return token.raw;
  const inside = () => words(token.tokens, depth);
  switch (token.type) {
    case "strong":
      return html`<strong>${inside()}</strong>`;
    case "em":
      return html`<em>${inside()}</em>`;
    case "del":
      return html`<del>${inside()}</del>`;
    case "codespan":
      return html`<code>${token.text}</code>`;
    case "br":
      return html`<br />`;
    case "spoiler":
      return html`<${Spoiler}>${inside()}<//>`;
    case "checkbox":
      return token.checked ? "☑ " : "☐ ";
    case "link":
      return linked(token.href, inside(), token.raw);
    case "image":
      // A picture from elsewhere would tell that somewhere who reads this: it is offered, not loaded.
      return linked(token.href, token.text || token.href, token.raw);
    default:
      return token.tokens ? inside() : readable(token);
  }
}

function linked(href, inside, raw) {
  const address = addressOf(href);
  if (!address) return raw;
  return html`<a href=${address} target="_blank" rel="noopener noreferrer">${inside}</a>`;
}

/** The address, where it leads to the web or a mailbox; else nothing. */
export function addressOf(href) {
  try {
    const address = new URL(unescaped(href));
    return ["http:", "https:", "mailto:"].includes(address.protocol) ? address.href : "";
  } catch {
    return "";
  }
}

function readable(token) {
  const text = token.text ?? token.raw ?? "";
  return token.type === "escape" ? text : unescaped(text);
}

const NAMED = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", hellip: "…", mdash: "—", ndash: "–" };

/** `&amp;` as it is meant: models write it now and then. */
function unescaped(text) {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w{2,6}));/gi, (whole, tens, hex, name) => {
    if (name) return NAMED[name] ?? whole;
    const point = parseInt(tens ?? hex, tens ? 10 : 16);
    return point > 31 && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff) ? String.fromCodePoint(point) : whole;
  });
}

export function Code({ text, language }) {
  return html`
    <div class="code">
      <div class="code-head">
        <span>${language}</span>
        <${Copied} text=${text} />
      </div>
      <pre tabindex="0" aria-label=${say("code")}><code>${text}</code></pre>
    </div>
  `;
}

function Spoiler({ children }) {
  const [open, setOpen] = useState(false);
  if (open) return html`<span class="spoiler spoiler-open">${children}</span>`;
  return html`
    <button type="button" class="spoiler" aria-label=${say("spoiler")} onClick=${() => setOpen(true)}>
      <span class="spoiler-inside" aria-hidden="true" inert>${children}</span>
    </button>
  `;
}

function nothing() {
  return undefined;
}
