// A word in passing, at the edge of the page. It goes by itself, but not while somebody reads it.

import { html, useEffect, useReducer, useRef } from "../vdom.js";
import { say } from "../words.js";
import { Button } from "./button.js";

const SECONDS = 7;
const MOST = 4;

/** `[toasts, tell(text, kind)]`; `kind`: plain, good or trouble. */
export function useToasts() {
  const counted = useRef(0);
  const [toasts, change] = useReducer((now, { add, gone }) => {
    if (add) return [...now, add].slice(-MOST);
    return now.filter((one) => one.id !== gone);
  }, []);
  const tell = useRef((text, kind = "plain") => change({ add: { id: (counted.current += 1), text, kind } })).current;
  return { toasts, tell, dismiss: (id) => change({ gone: id }) };
}

export function Toasts({ toasts, dismiss }) {
  return html`
    <div class="toasts" role="status" aria-live="polite">
      ${toasts.map((one) => html`<${Toast} key=${one.id} ...${one} dismiss=${() => dismiss(one.id)} />`)}
    </div>
  `;
}

function Toast({ text, kind, dismiss }) {
  const timer = useRef(0);
  const hold = () => clearTimeout(timer.current);
  const go = () => {
    hold();
    timer.current = setTimeout(dismiss, SECONDS * 1000);
  };
  useEffect(() => {
    go();
    return hold;
  }, []);
  return html`
    <div class="toast toast-${kind}" onMouseEnter=${hold} onMouseLeave=${go} onFocusIn=${hold} onFocusOut=${go}>
      <p>${text}</p>
      <${Button} kind="quiet" icon="close" label=${say("close")} onClick=${dismiss} />
    </div>
  `;
}
