// All that is known of somebody, to read; their newest pictures; and their card for other programs.

import { part, post, remove } from "../api.js";
import { useHouse } from "../house.js";
import { go, hrefTo } from "../router.js";
import { useDoing } from "../ui/asked.js";
import { Button } from "../ui/button.js";
import { Card } from "../ui/card.js";
import { Sure } from "../ui/dialog.js";
import { Face } from "../ui/face.js";
import { Facts } from "../ui/facts.js";
import { Thumbs } from "../ui/thumbs.js";
import { html, useState } from "../vdom.js";
import { FIELDS, nameOf, valueAt } from "./fields.js";
import { say } from "./saying.js";
import { isWide, told } from "./told.js";

const FORMATS = ["json", "png", "charx"];
const LONGEST = 64;

export function Profile({ page, mayChange }) {
  const { persona } = page;
  const { me, tell } = useHouse();
  const [doing, act] = useDoing(tell);
  const [sure, ask] = useState(false);
  const card = (format) => `/api/v1/personas/${part(persona.slug)}/card?format=${format}`;
  const talk = () =>
    act(async () => {
      const { chat } = await post("/talks", { persona: persona.slug, chat: persona.slug.slice(0, LONGEST) });
      go(hrefTo("chat", chat));
    });
  const away = () =>
    act(async () => {
      await remove(`/personas/${part(persona.slug)}`);
      tell(say("persona_gone", { name: persona.name }), "good");
      go("#/personas");
    });
  return html`
    <div class="profile">
      <${Card}>
        <div class="profile-head">
          <${Face} slug=${persona.slug} name=${persona.name} size="whole" />
          <div>
            ${persona.occupation && html`<p class="lead">${persona.occupation}</p>`}
            <p class="row-small">${say(`origin_${page.origin}`)} · ${say("revision_n", { n: page.revision })}</p>
            ${persona.tags.length > 0 && html`<ul class="tags">${persona.tags.map((one) => html`<li key=${one}><a class="mark" href=${`#/personas?tag=${part(one)}`}>${one}</a></li>`)}</ul>`}
          </div>
        </div>
        <div class="row-actions row-actions-below">
          ${(!me || me.scopes.includes("chat")) && html`<${Button} kind="good" icon="talk" busy=${doing} onClick=${talk}>${say("talk_to_them")}<//>`}
          ${FORMATS.map((one) => html`<${Button} key=${one} icon="down" href=${card(one)} download="">${say("card_as", { format: one.toUpperCase() })}<//>`)}
          ${mayChange && html`<${Button} kind="danger" onClick=${() => ask(true)}>${say("remove")}<//>`}
        </div>
      <//>
      ${page.pictures.length > 0 &&
      html`
        <${Card} title=${say("pictures")} actions=${html`<${Button} kind="quiet" href=${`#/gallery?persona=${part(persona.slug)}`}>${say("all_of_them")}<//>`}>
          <${Thumbs} pictures=${page.pictures} small />
        <//>
      `}
      ${FIELDS.map(({ group, fields }) => html`<${Group} key=${group} group=${group} fields=${fields} persona=${persona} />`)}
      ${sure && html`<${Sure} title=${say("sure_persona", { name: persona.name })} yes=${say("remove")} act=${away} close=${() => ask(false)}>${say("sure_persona_more")}<//>`}
    </div>
  `;
}

function Group({ group, fields, persona }) {
  const facts = fields
    .map(({ path, kind }) => [path, kind, valueAt(persona, path)])
    .map(([path, kind, value]) => [say(`field_${nameOf(path)}`), told(value, kind), isWide(value, kind)])
    .filter(([, value]) => value);
  if (facts.length === 0) return null;
  return html`<${Card} title=${say(`group_${group}`)}><${Facts} facts=${facts} /><//>`;
}
