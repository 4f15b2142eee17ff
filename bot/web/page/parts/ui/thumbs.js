// Many pictures in rows of one height, each in its own proportions.

import { hrefTo } from "../router.js";
import { html } from "../vdom.js";
import { say } from "../words.js";
import { Thumb } from "./thumb.js";

export function Thumbs({ pictures, small = false }) {
  if (pictures.length === 0) return null;
  return html`
    <ul class="thumbs ${small ? "thumbs-small" : ""}">
      ${pictures.map(
        (one) => html`
          <li key=${one.id} style=${{ "--ratio": (one.width || 1) / (one.height || 1) }}>
            <${Thumb} picture=${addressed(one)} alt=${altOf(one)} href=${hrefTo("picture", one.id)} />
          </li>
        `,
      )}
    </ul>
  `;
}

/** The picture of a job has no addresses by itself. */
export function addressed(picture) {
  return { thumb: `/api/v1/pictures/${picture.id}/thumb`, image: `/api/v1/pictures/${picture.id}`, ...picture };
}

function altOf({ id, scene }) {
  const words = say("picture_alt", { id: String(id) });
  return scene ? `${words}: ${scene.slice(0, 140)}` : words;
}
