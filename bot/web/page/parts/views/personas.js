// The cast: faces and names to look through, somebody new by a word on who they are, and cards from elsewhere.

import { get, post, query } from "../api.js";
import { useHouse } from "../house.js";
import { New } from "../personas/new.js";
import { go, hrefTo } from "../router.js";
import { useDoing } from "../ui/asked.js";
import { Button } from "../ui/button.js";
import { Empty } from "../ui/empty.js";
import { Face } from "../ui/face.js";
import { Field } from "../ui/field.js";
import { Page } from "../ui/page.js";
import { Pager, usePages } from "../ui/pager.js";
import { html, useEffect, useRef, useState } from "../vdom.js";
import { say } from "./saying.js";

const PAUSE = 150;

export default function Personas({ route }) {
  const { me } = useHouse();
  const tag = route.asked.get("tag") ?? "";
  const [typed, setTyped] = useState("");
  const [wanted, setWanted] = useState("");
  const [adding, add] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setWanted(typed.trim()), PAUSE);
    return () => clearTimeout(timer);
  }, [typed]);
  const pages = usePages((before, signal) => get(`/personas${query({ q: wanted, tag, before, limit: 60 })}`, { signal }), [wanted, tag]);
  const mayChange = !me || me.scopes.includes("manage");
  const actions = mayChange && html`<${Import} /><${Button} kind="good" icon="plus" onClick=${() => add(true)}>${say("new_persona")}<//>`;
  const none = !pages.loading && !pages.trouble && pages.items.length === 0;
  return html`
    <${Page} title=${say("place_personas")} actions=${actions}>
      <div class="filters" role="search">
        <${Field} class="filter-words" label=${say("search_people")} type="search" autocomplete="off" value=${typed} change=${setTyped} />
        ${tag && html`<p class="filter-tag">${say("with_tag", { tag })} <a href="#/personas">${say("all_of_them")}</a></p>`}
      </div>
      ${none && html`<${Empty} icon="people" title=${say("nobody_found")} />`}
      <ul class="cast">
        ${pages.items.map(
          (one) => html`
            <li key=${one.slug}>
              <a class="cast-one" href=${hrefTo("persona", one.slug)}>
                <${Face} slug=${one.slug} name=${one.name} size="large" />
                <span class="cast-words">
                  <strong>${one.name}</strong>
                  ${one.occupation && html`<span>${one.occupation}</span>`}
                  <span class="row-small">${[say(`origin_${one.origin}`), ...one.tags.slice(0, 3)].join(" · ")}</span>
                </span>
              </a>
            </li>
          `,
        )}
      </ul>
      <${Pager} pages=${pages} />
      ${adding && html`<${New} close=${() => add(false)} />`}
    <//>
  `;
}

function Import() {
  const { tell } = useHouse();
  const [doing, act] = useDoing(tell);
  const field = useRef(null);
  const chosen = (event) => {
    const file = event.target.files[0];
    event.target.value = "";
    if (!file) return;
    act(async () => {
      const { persona, notes } = await post(`/personas/import${query({ name: file.name })}`, file);
      for (const note of notes) tell(note);
      go(hrefTo("persona", persona.slug));
    });
  };
  return html`
    <input ref=${field} class="unseen" type="file" tabindex="-1" aria-label=${say("import_card")} accept=".json,.png,.charx,.toml" onChange=${chosen} />
    <${Button} icon="down" busy=${doing} onClick=${() => field.current.click()}>${say("import_card")}<//>
  `;
}
