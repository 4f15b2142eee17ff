// A picture, and all that made it: its words, its numbers, what the encoders read, its family, and what can be done.

import { get, part, put, remove } from "../api.js";
import { useHouse } from "../house.js";
import { Button } from "../ui/button.js";
import { Card } from "../ui/card.js";
import { Copied } from "../ui/copied.js";
import { Sure } from "../ui/dialog.js";
import { Waiting } from "../ui/empty.js";
import { Facts } from "../ui/facts.js";
import { useAsked, useDoing } from "../ui/asked.js";
import { Page } from "../ui/page.js";
import { Problem } from "../ui/problem.js";
import { Thumbs } from "../ui/thumbs.js";
import { Again } from "../picture/again.js";
import { ReceiptOf } from "../picture/receipt.js";
import { go, hrefTo } from "../router.js";
import { html, useState } from "../vdom.js";
import { moment, number, say, span } from "./saying.js";

export default function PicturePage({ route }) {
  const id = route.rest[0] ?? "";
  const { found, trouble, loading, again } = useAsked((signal) => get(`/pictures/${part(id)}/about`, { signal }), [id]);
  const back = { href: "#/gallery", label: say("place_gallery") };
  const fresh = found && String(found.picture.id) === id;
  return html`
    <${Page} title=${say("picture_title", { id })} back=${back}>
      <${Problem} trouble=${trouble} again=${again} />
      ${!fresh && loading && html`<${Waiting} label=${say("loading")} />`}
      ${fresh && !trouble && html`<${About} key=${id} about=${found} />`}
    <//>
  `;
}

function About({ about }) {
  const picture = about.picture;
  const { me, tell } = useHouse();
  const [, act] = useDoing(tell);
  const [sure, ask] = useState(false);
  const mayChange = !me || me.scopes.includes("manage");
  const mayMake = !me || me.scopes.includes("make");
  const image = `/api/v1/pictures/${picture.id}`;
  const who = about.persona;
  const away = () =>
    act(async () => {
      await remove(`/pictures/${picture.id}`);
      tell(say("picture_deleted", { id: String(picture.id) }), "good");
      go("#/gallery");
    });
  const face = () =>
    act(async () => {
      await put(`/personas/${part(who.slug)}/face`, { picture: picture.id });
      tell(say("face_made", { name: who.name }), "good");
    });
  return html`
    <div class="picture-page">
      <figure class="picture-whole">
        <img src=${image} width=${picture.width} height=${picture.height} alt=${picture.scene || say("picture_alt", { id: String(picture.id) })} />
        <figcaption class="picture-actions">
          <${Button} icon="down" href=${image} download=${`greenroom-${picture.id}.png`}>${say("download")}<//>
          ${who && mayChange && html`<${Button} icon="people" onClick=${face}>${say("make_face")}<//>`}
          ${mayChange && html`<${Button} kind="danger" icon="close" onClick=${() => ask(true)}>${say("delete")}<//>`}
        </figcaption>
      </figure>
      <div class="picture-about">
        <${Card} title=${say("words_of_it")} actions=${html`<${Copied} text=${picture.prompt} label=${say("copy_prompt")} />`}>
          ${picture.scene && html`<p class="scene">${picture.scene}</p>`}
          <p class="prompt">${picture.prompt}</p>
          ${picture.negative && html`<details class="negative"><summary>${say("negative")}</summary><p class="prompt">${picture.negative}</p></details>`}
        <//>
        <${Card} title=${say("made_of")}><${Facts} facts=${factsOf(about)} /><//>
        <${ReceiptOf} receipt=${about.receipt ?? picture.facts?.receipt} />
        <${Family} about=${about} />
        ${mayMake && html`<${Card} title=${say("render_again")}><${Again} picture=${picture} shapes=${about.shapes} /><//>`}
      </div>
    </div>
    ${sure &&
    html`<${Sure} title=${say("sure_delete")} yes=${say("delete")} act=${away} close=${() => ask(false)}>${say("sure_for_good")}<//>`}
  `;
}

function factsOf({ picture, persona, job, run }) {
  const link = (href, words) => html`<a href=${href}>${words}</a>`;
  return [
    [say("persona"), persona && link(hrefTo("persona", persona.slug), persona.name)],
    [say("style"), picture.style],
    [say("model"), picture.model],
    [say("seed"), picture.seed !== undefined && html`<span class="numbers">${picture.seed}</span>`],
    [say("size"), `${picture.width} × ${picture.height}`],
    [say("steps_word"), picture.steps > 0 && number(picture.steps)],
    [say("guidance"), picture.steps > 0 && number(picture.guidance)],
    [say("scheduler"), picture.facts?.scheduler],
    [say("words_count"), number(picture.word_count)],
    [say("words_by"), say(`source_${picture.source}`)],
    [say("rating"), say(`rating_${picture.rating.replace("-", "_")}`)],
    [say("device"), picture.device],
    [say("took"), picture.seconds >= 1 && span(picture.seconds)],
    [say("score"), picture.score !== null && picture.score !== undefined && number(picture.score)],
    [say("made_at"), moment(picture.created_at)],
    [say("job"), job && `${idOf(job)}`],
    [say("run"), run && link(`#/gallery?run=${idOf(run)}`, run.name ?? String(idOf(run)))],
    [say("stand_in"), picture.stand_in && say("stand_in_more"), true],
  ];
}

const idOf = (one) => (typeof one === "object" ? one.id : one);

function Family({ about }) {
  const parents = about.parents ?? [];
  const variations = about.variations ?? [];
  if (parents.length + variations.length === 0) return null;
  return html`
    <${Card} title=${say("family")}>
      ${parents.length > 0 && html`<h3>${say("parents")}</h3><${Thumbs} pictures=${parents} small />`}
      ${variations.length > 0 && html`<h3>${say("variations")}</h3><${Thumbs} pictures=${variations} small />`}
    <//>
  `;
}
