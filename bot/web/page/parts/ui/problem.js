// Something went wrong: its sentence, and another try where that helps.

import { html } from "../vdom.js";
import { say } from "../words.js";
import { Button } from "./button.js";

export function Problem({ trouble, again }) {
  if (!trouble) return null;
  return html`
    <div class="problem" role="alert">
      <p>${trouble.message ?? String(trouble)}</p>
      ${again && html`<${Button} icon="refresh" onClick=${again}>${say("try_again")}<//>`}
    </div>
  `;
}
