// One talk: who is there, what was said, and where one writes. A picture is looked at in a window over it.

import { useHouse } from "../house.js";
import { Button } from "../ui/button.js";
import { Dialog, Sure } from "../ui/dialog.js";
import { Empty, Waiting } from "../ui/empty.js";
import { Face } from "../ui/face.js";
import { Problem } from "../ui/problem.js";
import { html, useEffect, useState } from "../vdom.js";
import { say } from "../words.js";
import { Composer } from "./composer.js";
import { Log } from "./log.js";
import { useTalk } from "./talk.js";

export function Conversation({ chat, begin, spoken, eager }) {
  const talk = useTalk(chat);
  const [looked, look] = useState(null);
  const [asked, ask] = useState(null);
  const { tell } = useHouse();
  useEffect(spoken, [talk.revision, talk.persona]);
  // What takes something away for good is asked once more; stopping is no such thing.
  const press = (message, button) => (button.id.startsWith("delete") ? ask({ message, button }) : talk.press(message.id, button.id));
  const sure = () => {
    talk.press(asked.message.id, asked.button.id);
    ask(null);
  };
  if (talk.loading) return html`<section class="conversation"><${Waiting} label=${say("loading")} /></section>`;
  if (!talk.trouble && talk.isNew) return html`<section class="conversation"><${Welcome} begin=${begin} /></section>`;
  if (talk.trouble) return html`<section class="conversation"><${Problem} trouble=${talk.trouble} again=${() => talk.load()} /></section>`;
  return html`
    <section class="conversation" aria-label=${talk.persona ? say("talk_with", { name: talk.persona.name }) : say("talk")}>
      <header class="conversation-head">
        <${Button} kind="quiet" class="conversation-back" icon="back" label=${say("talks")} href="#/chat" />
        ${talk.persona &&
        html`
          <${Face} slug=${talk.persona.slug} name=${talk.persona.name} />
          <div class="conversation-who">
            <h2>${talk.persona.name}</h2>
            <p>${talk.writing ? say("writing") : talk.persona.occupation}</p>
          </div>
        `}
      </header>
      <${Log} talk=${talk} press=${press} look=${look} />
      <${Composer} talk=${talk} eager=${eager} />
      <p class="unseen" aria-live="polite">${talk.announced}</p>
      ${looked && html`<${Looked} picture=${looked} close=${() => look(null)} />`}
      ${asked && html`<${Sure} title=${say("sure_delete")} yes=${asked.button.label} act=${sure} close=${() => ask(null)}>${say("sure_for_good")}<//>`}
    </section>
  `;
}

export function Welcome({ begin }) {
  return html`
    <${Empty} icon="talk" title=${say("welcome")}>
      <p>${say("welcome_more")}</p>
      <${Button} kind="good" icon="plus" onClick=${begin}>${say("choose_whom")}<//>
    <//>
  `;
}

function Looked({ picture, close }) {
  const actions = html`<${Button} href=${picture.image} download=${`greenroom-${picture.id}.png`}>${say("download")}<//>`;
  return html`
    <${Dialog} title=${say("picture_title", { id: picture.id })} close=${close} actions=${actions} wide>
      <img class="looked" src=${picture.image} width=${picture.width} height=${picture.height} alt=${say("picture_alt", { id: picture.id })} />
    <//>
  `;
}
