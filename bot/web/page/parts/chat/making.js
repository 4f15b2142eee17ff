// A picture in the making: how many steps, how long still, and a preview that sharpens.

import { Progress } from "../ui/progress.js";
import { html } from "../vdom.js";
import { say, span } from "../words.js";

export function Making({ step }) {
  if (!step) return null;
  const words = say("steps", { step: step.step, of: step.of });
  const left = step.left >= 1 ? ` · ${say("left", { span: span(step.left) })}` : "";
  return html`
    <div class="making">
      ${step.preview && html`<img class="making-preview" src=${step.preview} alt=${say("preview")} />`}
      <${Progress} value=${step.step} max=${step.of} label=${say("making")}>${words}${left}<//>
    </div>
  `;
}
