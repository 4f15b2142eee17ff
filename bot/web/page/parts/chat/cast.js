// Who can be talked with, to choose from: faces, names, and what they do.

import { get, post, query } from "../api.js";
import { Dialog } from "../ui/dialog.js";
import { Face } from "../ui/face.js";
import { Pager, usePages } from "../ui/pager.js";
import { Problem } from "../ui/problem.js";
import { html, useEffect, useState } from "../vdom.js";
import { say } from "../words.js";
import { theTalks } from "./talks.js";

const PAUSE = 150;

/** Where somebody's first talk is; each further persona has a talk that is called like them. */
const FIRST = "home";
const LONGEST = 64;

/** `begun(chat)` is told where the talk is: one that there is already with whoever is chosen, or a new one. */
export function ChooseWhom({ begun, close }) {
  const [typed, setTyped] = useState("");
  const [wanted, setWanted] = useState("");
  const [trouble, setTrouble] = useState(null);
  useEffect(() => {
    const timer = setTimeout(() => setWanted(typed.trim()), PAUSE);
    return () => clearTimeout(timer);
  }, [typed]);
  const pages = usePages((before, signal) => get(`/personas${query({ q: wanted, before, limit: 60 })}`, { signal }), [wanted]);
  const choose = async (slug) => {
    try {
      // Asked for now: whoever is quick chooses before the list is there, and would bring somebody else into a talk.
      const talks = await theTalks();
      const there = talks.find((one) => one.persona?.slug === slug);
      if (there) {
        begun(there.chat);
        return;
      }
      const chat = talks.length === 0 ? FIRST : slug.slice(0, LONGEST);
      begun((await post("/talks", { persona: slug, chat })).chat);
    } catch (error) {
      setTrouble(error);
    }
  };
  return html`
    <${Dialog} title=${say("choose_whom")} close=${close}>
      <label class="unseen" for="whom">${say("search_people")}</label>
      <input id="whom" class="field" type="search" autocomplete="off" placeholder=${say("search_people")} value=${typed} onInput=${(event) => setTyped(event.target.value)} />
      <${Problem} trouble=${trouble} />
      <ul class="people">
        ${pages.items.map(
          (one) => html`
            <li key=${one.slug}>
              <button type="button" class="person" onClick=${() => choose(one.slug)}>
                <${Face} slug=${one.slug} name=${one.name} />
                <span class="person-words"><strong>${one.name}</strong>${one.occupation && html`<span>${one.occupation}</span>`}</span>
              </button>
            </li>
          `,
        )}
      </ul>
      ${!pages.loading && !pages.trouble && pages.items.length === 0 && html`<p class="people-none" role="status">${say("nobody_found")}</p>`}
      <${Pager} pages=${pages} />
    <//>
  `;
}
