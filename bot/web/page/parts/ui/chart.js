// A line over the last hour. What it shows stands in words beside it, for whoever does not see it.

import { html } from "../vdom.js";

const WIDE = 240;
const HIGH = 56;

/** `values`: numbers, oldest first; null where nothing is known. `now`: the latest in words; `told`: the hour in words. */
export function Chart({ title, values, most, now, told }) {
  const known = values.filter((one) => one !== null && one !== undefined);
  const top = Math.max(most ?? 0, ...known, most ? 0 : 1e-9);
  const step = values.length > 1 ? WIDE / (values.length - 1) : WIDE;
  const at = (value, place) => `${(place * step).toFixed(1)} ${(HIGH - 2 - (value / top) * (HIGH - 4)).toFixed(1)}`;
  // Where nothing is known the line has a gap.
  let pen = "M";
  const path = values
    .map((value, place) => {
      if (value === null || value === undefined) {
        pen = "M";
        return "";
      }
      const piece = pen + at(value, place);
      pen = "L";
      return piece;
    })
    .join("");
  return html`
    <figure class="chart">
      <figcaption><span class="chart-title">${title}</span><strong>${now}</strong></figcaption>
      <svg viewBox="0 0 ${WIDE} ${HIGH}" role="img" aria-label=${`${title}: ${told}`} preserveAspectRatio="none">
        <path class="chart-floor" d=${`M0 ${HIGH - 1}H${WIDE}`} />
        ${known.length > 1 && html`<path class="chart-line" d=${path} />`}
      </svg>
      <p class="chart-told">${told}</p>
    </figure>
  `;
}
