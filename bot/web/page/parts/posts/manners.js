// How what comes of a schedule or a feed is posted, where that is not as usual: a line of small words.

import { html } from "../vdom.js";
import { say } from "../views/saying.js";

/** `options` as a schedule keeps them: what is not there is as usual. */
export function Manners({ options, also = [] }) {
  const { picture = true, text = true, style, approval, targets = [] } = options;
  const told = [
    ...also,
    !picture && say("kind_text_only"),
    !text && say("kind_picture_only"),
    style && say("in_style", { style }),
    approval && `${say("approval")}: ${say(`approval_${approval}`)}`,
    targets.length > 0 && say("goes_also_to", { places: targets.map((one) => `#${one}`).join(", ") }),
  ].filter(Boolean);
  return told.length > 0 && html`<p class="row-small">${told.join(" · ")}</p>`;
}
