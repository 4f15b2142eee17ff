// What somebody may mean who has typed `/im`, as a list over the field: up and down choose, Tab or Enter take it.

import { get, query } from "../api.js";
import { html, useEffect, useRef, useState } from "../vdom.js";
import { say } from "../words.js";

/** Whoever types on is not asked after each letter. */
const PAUSE = 90;
const NONE = { typed: "", items: [] };

export function useSuggestions(talk, text) {
  const [told, setTold] = useState(NONE);
  const [chosen, setChosen] = useState(-1);
  /** What was closed by Escape, or has just been taken, is not offered again for the same words. */
  const closedFor = useRef(null);
  // What was found for other words is still shown while it is asked for these, but none of it is chosen any more.
  const found = text.startsWith("/") && closedFor.current !== text ? told.items : NONE.items;
  const at = told.typed === text ? chosen : -1;
  const order = text.startsWith("/") && !text.includes("\n");

  useEffect(() => {
    setChosen(-1);
    if (!order || closedFor.current === text) {
      setTold(NONE);
      return undefined;
    }
    const asking = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const { at: from, items } = await get(`${talk.path}/suggest${query({ typed: text })}`, { signal: asking.signal });
        const lines = items.map((one) => ({ ...one, line: text.slice(0, from) + one.value }));
        setTold({ typed: text, items: lines.filter((one) => one.line.trim() !== text.trim()) });
      } catch {
        // What is not offered is typed, and what was offered for other words holds nobody in the field.
        if (!asking.signal.aborted) setTold(NONE);
      }
    }, PAUSE);
    return () => {
      clearTimeout(timer);
      asking.abort();
    };
  }, [text, talk]);

  const close = () => {
    closedFor.current = text;
    setTold(NONE);
  };
  const take = (one, complete) => {
    closedFor.current = one.line.endsWith(" ") ? null : one.line;
    setTold(NONE);
    complete(one);
  };
  const move = (by) => {
    setTold({ typed: text, items: found });
    setChosen(at < 0 ? (by > 0 ? 0 : found.length - 1) : (at + by + found.length) % found.length);
  };
  /** What Tab means: the chosen one, or the first; of those that were found for fewer letters, the first that begins so. */
  const meant = () => found[at] ?? (told.typed === text ? found[0] : found.find((one) => one.line.toLowerCase().startsWith(text.toLowerCase())));
  /** Whether a key was meant for the list. */
  const keys = (event, complete) => {
    if (found.length === 0) return false;
    if (event.key === "ArrowDown") move(1);
    else if (event.key === "ArrowUp") move(-1);
    else if (event.key === "Escape") close();
    else if (event.key === "Tab" && !event.shiftKey) meant() && take(meant(), complete);
    else if (event.key === "Enter" && !event.shiftKey && at >= 0) take(found[at], complete);
    else return false;
    event.preventDefault();
    return true;
  };
  // It is a field for words, and one to choose in only while there is something to choose.
  const aria = {
    role: found.length > 0 ? "combobox" : undefined,
    "aria-expanded": found.length > 0 ? "true" : undefined,
    "aria-autocomplete": "list",
    "aria-haspopup": "listbox",
    "aria-controls": "suggestions",
    "aria-activedescendant": at >= 0 ? `suggestion-${at}` : undefined,
  };
  return { found, chosen: at, keys, close, take, aria };
}

export function Suggestions({ suggested, choose }) {
  const { found, chosen, take } = suggested;
  const list = useRef(null);
  useEffect(() => list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" }), [chosen]);
  return html`
    <ul id="suggestions" ref=${list} class="suggestions ${found.length ? "" : "suggestions-none"}" role="listbox" aria-label=${say("suggestions")}>
      ${found.map(
        (one, place) => html`
          <li
            key=${one.line}
            id="suggestion-${place}"
            class="suggestion"
            role="option"
            aria-selected=${place === chosen ? "true" : "false"}
            onMouseDown=${(event) => {
              event.preventDefault(); // the field keeps the focus
              take(one, choose);
            }}
          >
            <span class="suggestion-name">${one.value.trim()}</span>
            ${one.label !== one.value.trim() && html`<span class="suggestion-says">${one.label}</span>`}
          </li>
        `,
      )}
    </ul>
  `;
}
