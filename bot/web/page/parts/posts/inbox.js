// Posts that nobody has looked at yet who must: picture and caption, and what can be said to them.

import { get, part, patch, post as send, query } from "../api.js";
import { useHouse } from "../house.js";
import { useDoing } from "../ui/asked.js";
import { Button } from "../ui/button.js";
import { Card } from "../ui/card.js";
import { Field } from "../ui/field.js";
import { countOf } from "../ui/lasting.js";
import { Pager } from "../ui/pager.js";
import { addressed } from "../ui/thumbs.js";
import { hrefTo } from "../router.js";
import { useTyped } from "../kept.js";
import { html } from "../vdom.js";
import { moment, say } from "../views/saying.js";
import { called } from "./places.js";

/** The next to be shown first. */
export const lookAtWaiting = (before, signal) => get(`/posts${query({ state: "waiting", soonest: true, before, limit: 20 })}`, { signal });

/** A caption that is written anew, or none. */
const KEPT = { read: (kept) => (kept ? JSON.parse(kept) : null), written: (typed) => (typed === null ? "" : JSON.stringify(typed)) };

export function Inbox({ waiting, soon, mayChange, every }) {
  const { items } = waiting;
  return html`
    <${Card} title=${items.length ? `${say("inbox")} (${countOf(waiting)})` : say("inbox")}>
      ${waiting.found && items.length === 0 && html`<p class="soft">${say("inbox_empty")}</p>`}
      <ul class="rows">
        ${items.map((one) => html`<${Waiting} key=${one.id} post=${one} zone=${zoneOf(every, one)} soon=${soon} mayChange=${mayChange} />`)}
      </ul>
      <${Pager} pages=${waiting} />
    <//>
  `;
}

/** By which clock a post is meant: that of its schedule, or else of its place. */
export function zoneOf(every, post) {
  return every.found?.items.find((one) => one.id === post.schedule)?.zone ?? post.zone;
}

function Waiting({ post, zone, soon, mayChange }) {
  const { tell } = useHouse();
  const [doing, act] = useDoing(tell);
  const [typed, setTyped] = useTyped(`caption.${post.id}`, KEPT);
  const done = (work) =>
    act(async () => {
      await work();
      setTyped(null);
      soon("inbox", "week");
    });
  const order = (what) => () => done(() => send(`/posts/${part(post.id)}/${what}`));
  const save = (event) => {
    event.preventDefault();
    done(() => patch(`/posts/${part(post.id)}`, { caption: typed }));
  };
  return html`
    <li class="row post" data-post=${post.id}>
      ${post.picture && html`<a class="post-picture" href=${hrefTo("picture", post.picture)}><img src=${addressed({ id: post.picture }).thumb} alt=${say("picture_alt", { id: String(post.picture) })} loading="lazy" /></a>`}
      <div class="row-words">
        <p class="row-title">${post.persona}</p>
        <p class="row-small">${[moment(post.due, zone), called(post.chat), post.theme].filter(Boolean).join(" · ")}</p>
        ${typed === null
          ? html`<p class="caption">${post.caption}</p>`
          : html`
              <form class="form" onSubmit=${save}>
                <${Field} label=${say("caption")} rows="4" value=${typed} change=${setTyped} />
                <div class="form-end">
                  <${Button} kind="quiet" onClick=${() => setTyped(null)}>${say("cancel")}<//>
                  <${Button} type="submit" kind="good" busy=${doing}>${say("save")}<//>
                </div>
              </form>
            `}
        ${post.error && html`<p class="row-error">${post.error}</p>`}
        ${mayChange &&
        typed === null &&
        html`
          <div class="row-actions row-actions-below">
            <${Button} kind="good" icon="check" busy=${doing} onClick=${order("approve")}>${say("approve")}<//>
            <${Button} icon="picture" busy=${doing} onClick=${order("picture")}>${say("another_picture")}<//>
            <${Button} icon="refresh" busy=${doing} onClick=${order("caption")}>${say("another_caption")}<//>
            <${Button} icon="pen" onClick=${() => setTyped(post.caption)}>${say("edit")}<//>
            <${Button} kind="danger" busy=${doing} onClick=${order("skip")}>${say("skip_it")}<//>
          </div>
        `}
      </div>
    </li>
  `;
}
