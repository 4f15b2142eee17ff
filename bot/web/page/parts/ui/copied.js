// Puts words on the clipboard, and says for a moment that they are there.

import { html, useEffect, useRef, useState } from "../vdom.js";
import { say } from "../words.js";
import { Button } from "./button.js";

export function Copied({ text, label = say("copy") }) {
  const [done, setDone] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    setDone(await copied(text));
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setDone(false), 2000);
  };
  return html`<${Button} kind="quiet" class="copied" icon=${done ? "check" : "copy"} onClick=${copy}>${done ? say("copied") : label}<//>`;
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedByHand(text);
  }
}

/** Over plain HTTP on another machine there is no clipboard but this one. */
function copiedByHand(text) {
  const before = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  before?.focus();
  return done;
}
