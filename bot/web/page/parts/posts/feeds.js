// Feeds and hooks: what happens elsewhere, and who posts about it where.

import { get, post, query, remove } from "../api.js";
import { useHouse } from "../house.js";
import { useAsked, useDoing } from "../ui/asked.js";
import { Button } from "../ui/button.js";
import { Card } from "../ui/card.js";
import { Sure } from "../ui/dialog.js";
import { Problem } from "../ui/problem.js";
import { html, useState } from "../vdom.js";
import { moment, say } from "../views/saying.js";

export function Feeds({ turn, mayChange }) {
  const feeds = useAsked((signal) => get(`/feeds${query({ limit: 200 })}`, { signal }), [turn]);
  const items = feeds.found?.items ?? [];
  return html`
    <${Card} title=${say("feeds")}>
      <${Problem} trouble=${feeds.trouble} again=${feeds.again} />
      ${feeds.found && items.length === 0 && html`<p class="soft">${say("no_feeds")}</p>`}
      <ul class="rows">
        ${items.map((one) => html`<${Feed} key=${one.id} feed=${one} again=${feeds.again} mayChange=${mayChange} />`)}
      </ul>
    <//>
  `;
}

function Feed({ feed, again, mayChange }) {
  const { tell } = useHouse();
  const [doing, act] = useDoing(tell);
  const [sure, ask] = useState(false);
  const done = (work) =>
    act(async () => {
      await work();
      ask(false);
      again();
    });
  const name = feed.title || feed.address || say("hook_n", { id: feed.id });
  return html`
    <li class="row" data-feed=${feed.id}>
      <div class="row-words">
        <p class="row-title">${name}${feed.state === "paused" && html` <span class="mark">${say("schedule_paused")}</span>`}</p>
        <p class="row-small">${[feed.persona, feed.chat, feed.next && say("next_time", { when: moment(feed.next) })].filter(Boolean).join(" · ")}</p>
        ${feed.error && html`<p class="row-error">${feed.error}</p>`}
      </div>
      ${mayChange &&
      html`
        <div class="row-actions">
          ${feed.state === "paused"
            ? html`<${Button} busy=${doing} onClick=${() => done(() => post(`/feeds/${feed.id}/resume`))}>${say("resume")}<//>`
            : html`<${Button} busy=${doing} onClick=${() => done(() => post(`/feeds/${feed.id}/pause`))}>${say("pause")}<//>`}
          <${Button} kind="danger" onClick=${() => ask(true)}>${say("remove")}<//>
        </div>
      `}
      ${sure && html`<${Sure} title=${say("sure_remove_feed")} yes=${say("remove")} act=${() => done(() => remove(`/feeds/${feed.id}`))} close=${() => ask(false)}>${say("sure_remove_schedule_more")}<//>`}
    </li>
  `;
}
