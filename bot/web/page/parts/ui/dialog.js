// A window over the page. The browser keeps the focus inside, closes it by Escape, and gives the focus back.

import { newKey } from "../api.js";
import { html, useLayoutEffect, useRef, useState } from "../vdom.js";
import { say } from "../words.js";
import { Button } from "./button.js";

export function Dialog({ title, close, children, actions, wide = false }) {
  const dialog = useRef(null);
  const leave = useRef(close);
  leave.current = close;
  const [name] = useState(() => `dialog-${newKey()}`);
  // As soon as it stands there: whoever presses Escape at once means this window.
  useLayoutEffect(() => {
    const before = document.activeElement;
    const shown = dialog.current;
    shown.showModal();
    // A browser that lets nobody keep a window open has closed it: it is there again until whoever shows it says so.
    const gone = () => {
      shown.showModal();
      leave.current();
    };
    shown.addEventListener("close", gone);
    return () => {
      shown.removeEventListener("close", gone);
      shown.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  const outside = (event) => event.target === dialog.current && close();
  const cancelled = (event) => {
    if (!event.cancelable) return; // at a second Escape: then it is closed all the same
    event.preventDefault(); // it goes when whoever shows it says so
    close();
  };
  return html`
    <dialog ref=${dialog} class="dialog ${wide ? "dialog-wide" : ""}" aria-labelledby=${name} onCancel=${cancelled} onMouseDown=${outside}>
      <div class="dialog-inside">
        <header class="dialog-head">
          <h2 id=${name}>${title}</h2>
          <${Button} kind="quiet" icon="close" label=${say("close")} onClick=${close} />
        </header>
        <div class="dialog-body">${children}</div>
        ${actions && html`<footer class="dialog-actions">${actions}</footer>`}
      </div>
    </dialog>
  `;
}

/** Asks once more before something that cannot be undone. */
export function Sure({ title, children, yes, act, close, kind = "danger" }) {
  const actions = html`
    <${Button} kind="quiet" onClick=${close}>${say("cancel")}<//>
    <${Button} kind=${kind} onClick=${act}>${yes}<//>
  `;
  return html`<${Dialog} title=${title} close=${close} actions=${actions}><p>${children}</p><//>`;
}
