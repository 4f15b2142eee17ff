// All pictures, the latest first: by persona, style, run and rating. The filters stand in the address.

import { get, query } from "../api.js";
import { useHouse } from "../house.js";
import { filtered } from "../ui/filters.js";
import { Button } from "../ui/button.js";
import { choicesOf, useVocabulary } from "../ui/choosing.js";
import { Empty } from "../ui/empty.js";
import { Choice, Field } from "../ui/field.js";
import { Page } from "../ui/page.js";
import { Pager, usePages } from "../ui/pager.js";
import { Thumbs } from "../ui/thumbs.js";
import { go } from "../router.js";
import { html } from "../vdom.js";
import { say } from "./saying.js";

const FILTERS = ["persona", "style", "run", "rating"];
export const RATINGS = ["all-ages", "mature", "adult"];

export default function Gallery({ route }) {
  const wanted = Object.fromEntries(FILTERS.map((name) => [name, route.asked.get(name) ?? ""]));
  const { me } = useHouse();
  const { personas, styles } = useVocabulary();
  const pages = usePages(
    (before, signal) => get(`/pictures${query({ ...wanted, before, limit: 60 })}`, { signal }),
    FILTERS.map((name) => wanted[name]),
  );
  const filter = (name) => (value) => go(filtered("#/gallery", route.asked, { [name]: value }));
  const none = !pages.loading && !pages.trouble && pages.items.length === 0;
  const isFiltered = FILTERS.some((name) => wanted[name]);
  const ratings = [["", say("any")], ...RATINGS.map((one) => [one, say(`rating_${one.replace("-", "_")}`)])];
  return html`
    <${Page} title=${say("place_gallery")}>
      <form class="filters" role="search" aria-label=${say("filters")} onSubmit=${(event) => event.preventDefault()}>
        <${Choice} label=${say("persona")} value=${wanted.persona} change=${filter("persona")} choices=${choicesOf(personas, say("any"))} />
        <${Choice} label=${say("style")} value=${wanted.style} change=${filter("style")} choices=${choicesOf(styles, say("any"))} />
        <${Choice} label=${say("rating")} value=${wanted.rating} change=${filter("rating")} choices=${ratings} />
        <${Field} label=${say("run")} value=${wanted.run} inputmode="numeric" pattern="[0-9]*" size="6" change=${(text) => filter("run")(text.replace(/\D/g, ""))} />
        ${isFiltered && html`<${Button} kind="quiet" href="#/gallery">${say("all_of_them")}<//>`}
      </form>
      ${none &&
      html`
        <${Empty} icon="picture" title=${isFiltered ? say("no_such_pictures") : say("no_pictures")}>
          ${!isFiltered && html`<p>${say("no_pictures_more")}</p>`}
          ${!isFiltered && (!me || me.scopes.includes("make")) && html`<${Button} kind="good" href="#/prompt">${say("place_prompt")}<//>`}
        <//>
      `}
      <${Thumbs} pictures=${pages.items} />
      <${Pager} pages=${pages} />
    <//>
  `;
}
