// A picture, small, in its own proportions from the first moment on, so that nothing jumps when it has come.

import { html, useState } from "../vdom.js";
import { say } from "../words.js";

export function Thumb({ picture, href, open, alt }) {
  const [source, setSource] = useState(picture.thumb || picture.image);
  const [lost, setLost] = useState(false);
  const failed = () => {
    if (source !== picture.image) setSource(picture.image);
    else setLost(true);
  };
  const words = alt ?? say("picture_alt", { id: picture.id });
  const inside = lost
    ? html`<span class="thumb-lost">${say("picture_lost")}</span>`
    : html`<img src=${source} alt=${words} width=${picture.width} height=${picture.height} loading="lazy" decoding="async" onError=${failed} />`;
  const marks = picture.stand_in && html`<span class="mark thumb-mark">${say("stand_in")}</span>`;
  const ratio = { "--ratio": lost ? 1 : (picture.width || 1) / (picture.height || 1) };
  if (href) return html`<a class="thumb" style=${ratio} href=${href}>${inside}${marks}</a>`;
  if (open) return html`<button type="button" class="thumb" style=${ratio} onClick=${open}>${inside}${marks}</button>`;
  return html`<span class="thumb" style=${ratio}>${inside}${marks}</span>`;
}
