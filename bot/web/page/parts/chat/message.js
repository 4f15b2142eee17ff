// One message: who, when, the words, the pictures, and what can be pressed beneath.

import { Markdown } from "../markdown.js";
import { Button } from "../ui/button.js";
import { Face } from "../ui/face.js";
import { Thumb } from "../ui/thumb.js";
import { html } from "../vdom.js";
import { clock, day, say } from "../words.js";
import { Coded } from "./coded.js";
import { Making } from "./making.js";
import { Reactions } from "./reactions.js";

const KINDS = { good: "good", danger: "danger" };

/** `again`, `edit`: what can be done with it here, where it can. */
export function Message({ message, follows, step, press, look, react, again, edit }) {
  const { by, name, slug, text } = message;
  const mine = by === "person";
  return html`
    <li class="message message-${by} ${follows ? "message-follows" : ""} ${message.job ? "message-job" : ""}" data-message=${message.id}>
      ${!mine && html`<div class="message-face">${!follows && html`<${Speaker} by=${by} slug=${slug} name=${name} />`}</div>`}
      <article class="message-sheet" aria-label=${say("message_of", { name: mine ? say("you") : name || say("house"), when: clock(message.created_at) })}>
        <div class="message-head ${follows ? "unseen" : ""}">
          <span class="message-name">${mine ? name || say("you") : name || say("house")}</span>
          <time datetime=${message.created_at} title=${`${day(message.created_at)}, ${clock(message.created_at)}`}>${clock(message.created_at)}</time>
          ${message.source === "understudy" && html`<span class="mark" title=${say("understudy_title")}>${say("understudy")}</span>`}
        </div>
        ${text && (by === "persona" ? html`<${Markdown} text=${text} />` : html`<${Coded} text=${text} code=${message.code} />`)}
        ${message.faces?.length > 0 && html`<div class="faces">${message.faces.map((one) => html`<${Face} key=${one.slug} slug=${one.slug} name=${one.slug} size="large" />`)}</div>`}
        ${message.job && message.pictures.length === 0 && html`<${Making} step=${step} />`}
        ${message.pictures.length > 0 && html`<${Pictures} pictures=${message.pictures} name=${name} text=${text} look=${look} />`}
        <${Pressable} message=${message} press=${press} />
        ${again && html`<div class="message-actions"><${Button} kind="quiet" icon="refresh" onClick=${again}>${say("regenerate")}<//></div>`}
        ${edit && html`<div class="message-actions"><${Button} kind="quiet" icon="pen" onClick=${edit}>${say("edit_below")}<//></div>`}
        ${isTheirs(message) && html`<${Reactions} message=${message} react=${react} />`}
      </article>
    </li>
  `;
}

/** What a persona has said or painted. */
const isTheirs = ({ by, turn, pictures, job }) => (by === "persona" && (turn || job)) || (by === "house" && job && pictures.length > 0);

function Speaker({ by, slug, name }) {
  if (by === "house" && !slug) return html`<img class="face face-medium" src="/page/icon.svg" alt="" />`;
  return html`<${Face} slug=${slug} name=${name} />`;
}

function Pictures({ pictures, name, text, look }) {
  return html`
    <div class="pictures pictures-${Math.min(pictures.length, 2)}">
      ${pictures.map(
        (picture, place) => html`
          <${Thumb} key=${picture.id} picture=${picture} alt=${altOf(name, text, place, pictures.length)} open=${() => look(picture)} />
        `,
      )}
    </div>
  `;
}

function altOf(name, text, place, count) {
  const said = text.split("\n")[0].slice(0, 160) || name;
  return count > 1 ? say("picture_n_of", { n: place + 1, count, said }) : said;
}

function Pressable({ message, press }) {
  if (message.buttons.length === 0) return null;
  return html`
    <div class="presses">
      ${message.buttons.map(
        (row) => html`
          <div class="presses-row">
            ${row.map(
              (button) => html`
                <${Button} key=${button.id} kind=${KINDS[button.kind] ?? "plain"} onClick=${() => press(message, button)}>${button.label}<//>
              `,
            )}
          </div>
        `,
      )}
    </div>
  `;
}

/** What was written here and is on its way. */
export function Own({ own, again, withdraw }) {
  return html`
    <li class="message message-person message-own">
      <article class="message-sheet" aria-label=${say("message_sending")}>
        <div class="words words-plain">${own.text}</div>
        ${own.trouble
          ? html`
              <p class="own-trouble" role="alert">${own.trouble.message}</p>
              <div class="message-actions">
                <${Button} icon="refresh" onClick=${again}>${say("send_again")}<//>
                <${Button} kind="quiet" onClick=${withdraw}>${say("withdraw")}<//>
              </div>
            `
          : html`<p class="own-way">${own.sent ? say("sent") : say("sending")}</p>`}
      </article>
    </li>
  `;
}

/** A reply while it is written. */
export function Draft({ draft }) {
  return html`
    <li class="message message-persona message-draft">
      <div class="message-face"><${Face} slug=${draft.slug} name=${draft.name} /></div>
      <article class="message-sheet" aria-label=${say("draft_of", { name: draft.name })}>
        <div class="message-head"><span class="message-name">${draft.name}</span></div>
        ${draft.text ? html`<${Markdown} text=${draft.text} />` : html`<span class="waiting-dots" aria-hidden="true"><i></i><i></i><i></i></span>`}
      </article>
    </li>
  `;
}
