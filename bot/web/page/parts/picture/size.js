// How large a picture is to be: as it was, one of the shapes that people ask for by their name, or sides of one's own.

import { Choice, Field } from "../ui/field.js";
import { html } from "../vdom.js";
import { say } from "../views/saying.js";

/** What stands for sides of one's own. */
export const OWN = "own";

/** `shape`, `width`, `height`: each `{value, change}`. */
export function Size({ picture, shapes, shape, width, height }) {
  const sizes = shapes.map((one) => [one.shape, sized(one)]);
  const choices = [["", `${say("as_it_was")} (${picture.width} × ${picture.height})`], ...sizes, [OWN, say("own_size")]];
  const sides = { type: "number", min: "64", max: "2048", step: "1", required: true, inputmode: "numeric" };
  return html`
    <div class="form-row">
      <${Choice} label=${say("size")} choices=${choices} ...${shape} />
      ${shape.value === OWN && html`<${Field} label=${say("width")} ...${sides} ...${width} /><${Field} label=${say("height")} ...${sides} ...${height} />`}
    </div>
  `;
}

/** `2:3 upright, 832 × 1248` */
function sized({ shape, width, height }) {
  const name = width === height ? say("shape_square") : say(width > height ? "shape_wide" : "shape_tall");
  return `${shape} ${name} (${width} × ${height})`;
}
