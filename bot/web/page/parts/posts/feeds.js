// Feeds and hooks: what happens elsewhere, and who posts about it where.

import { get, post, query, remove } from "../api.js";
import { useHouse } from "../house.js";
import { useDoing } from "../ui/asked.js";
import { Button } from "../ui/button.js";
import { Card } from "../ui/card.js";
import { Sure } from "../ui/dialog.js";
import { Pager } from "../ui/pager.js";
import { html, useState } from "../vdom.js";
import { moment, say } from "../views/saying.js";
import { FeedForm } from "./feed-form.js";
import { Manners } from "./manners.js";
import { called } from "./places.js";

export const lookAtFeeds = (before, signal) => get(`/feeds${query({ before, limit: 50 })}`, { signal });

export function Feeds({ feeds, soon, mayChange }) {
  const [adding, add] = useState(null);
  // What is still to come of one comes at once, or goes with it.
  const changed = () => soon("feeds", "week", "inbox");
  const actions =
    mayChange &&
    html`
      <${Button} icon="plus" onClick=${() => add("feed")}>${say("new_feed")}<//>
      <${Button} icon="plus" onClick=${() => add("hook")}>${say("new_hook")}<//>
    `;
  return html`
    <${Card} title=${say("feeds")} actions=${actions}>
      ${feeds.found && feeds.items.length === 0 && html`<p class="soft">${say("no_feeds")}</p>`}
      <ul class="rows">
        ${feeds.items.map((one) => html`<${Feed} key=${one.id} feed=${one} changed=${changed} mayChange=${mayChange} />`)}
      </ul>
      <${Pager} pages=${feeds} />
      ${adding && html`<${FeedForm} key=${adding} kind=${adding} changed=${changed} close=${() => add(null)} />`}
    <//>
  `;
}

function Feed({ feed, changed, mayChange }) {
  const { tell } = useHouse();
  const [doing, act] = useDoing(tell);
  const [sure, ask] = useState(false);
  const [editing, edit] = useState(false);
  const done = (work) =>
    act(async () => {
      await work();
      ask(false);
      changed();
    });
  const name = feed.title || (feed.kind === "hook" ? say("hook_n", { id: String(feed.id) }) : feed.address);
  const filters = [
    feed.only.length > 0 && say("only_with_words", { words: feed.only.join(", ") }),
    feed.without.length > 0 && say("not_with_words", { words: feed.without.join(", ") }),
    ["item", "folder"].includes(feed.picture) && say(`picture_from_${feed.picture}`),
  ];
  const options = { picture: feed.picture !== "", style: feed.style, approval: feed.approval, targets: feed.to };
  return html`
    <li class="row" data-feed=${feed.id}>
      <div class="row-words">
        <p class="row-title">${name}${feed.state === "paused" && html` <span class="mark">${say("schedule_paused")}</span>`}</p>
        ${feed.address !== name && html`<p class="row-small row-address">${feed.address}</p>`}
        <p class="row-small">${[feed.persona, called(feed.chat), feed.state === "active" && feed.next && say("next_look", { when: moment(feed.next) })].filter(Boolean).join(" · ")}</p>
        <${Manners} options=${options} also=${filters} />
        ${feed.error && html`<p class="row-error">${feed.error}</p>`}
      </div>
      ${mayChange &&
      html`
        <div class="row-actions">
          ${feed.state === "paused"
            ? html`<${Button} busy=${doing} onClick=${() => done(() => post(`/feeds/${feed.id}/resume`))}>${say("resume")}<//>`
            : html`<${Button} busy=${doing} onClick=${() => done(() => post(`/feeds/${feed.id}/pause`))}>${say("pause")}<//>`}
          <${Button} icon="pen" onClick=${() => edit(true)}>${say("edit")}<//>
          <${Button} kind="danger" onClick=${() => ask(true)}>${say("remove")}<//>
        </div>
      `}
      ${editing && html`<${FeedForm} feed=${feed} changed=${changed} close=${() => edit(false)} />`}
      ${sure && html`<${Sure} title=${say("sure_remove_feed")} yes=${say("remove")} act=${() => done(() => remove(`/feeds/${feed.id}`))} close=${() => ask(false)}>${say("sure_remove_schedule_more")}<//>`}
    </li>
  `;
}
