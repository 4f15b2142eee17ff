// Something went wrong: its sentence, and another try where that helps.

import { html, useLayoutEffect, useRef } from "../vdom.js";
import { say } from "../words.js";
import { Button } from "./button.js";

export function Problem({ trouble, again }) {
  const place = useRef(null);
  // It stands at the end of a form, which may be out of sight of who has just sent it.
  useLayoutEffect(() => {
    if (place.current?.closest("form")) place.current.scrollIntoView({ block: "nearest" });
  }, [trouble]);
  if (!trouble) return null;
  return html`
    <div class="problem" role="alert" ref=${place}>
      <p>${trouble.message ?? String(trouble)}</p>
      ${again && html`<${Button} icon="refresh" onClick=${again}>${say("try_again")}<//>`}
    </div>
  `;
}
