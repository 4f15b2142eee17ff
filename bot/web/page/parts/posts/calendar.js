// A week of posts, day by day: what is planned, made and published; and the times that no post stands for yet. What was
// published can be taken back here.

import { post as send } from "../api.js";
import { useHouse } from "../house.js";
import { useAsked, useDoing } from "../ui/asked.js";
import { Button } from "../ui/button.js";
import { Card } from "../ui/card.js";
import { Sure } from "../ui/dialog.js";
import { Problem } from "../ui/problem.js";
import { hrefTo } from "../router.js";
import { html, useState } from "../vdom.js";
import { clockIn, dayIn, dayOf, say, weekOf } from "../views/saying.js";
import { everyOne } from "./every.js";
import { zoneOf } from "./inbox.js";

const DAYS = 7;

/** The Monday of this week and so many further ones, at midnight here. */
export function monday(weeks, now = new Date()) {
  const start = new Date(now.getFullYear(), now.getMonth(), now.getDate() - ((now.getDay() + 6) % 7) + weeks * DAYS);
  return start;
}

export function Calendar({ turn, changed, mayChange, schedules }) {
  const [week, setWeek] = useState(0);
  const from = monday(week);
  const days = Array.from({ length: DAYS }, (_, n) => new Date(from.getFullYear(), from.getMonth(), from.getDate() + n));
  // A day more at either end: a place elsewhere may have begun the week, or not ended it.
  const [start, end] = [-1, DAYS + 1].map((n) => new Date(from.getFullYear(), from.getMonth(), from.getDate() + n).toISOString());
  const found = useAsked((signal) => everyOne("/posts", { from: start, to: end, soonest: true }, signal), [turn, week]);
  const posts = (found.found?.items ?? []).map((one) => ({ ...one, zone: zoneOf(schedules, one) }));
  const all = [...posts, ...coming(schedules.found?.items ?? [], posts)].sort((one, other) => Date.parse(one.due) - Date.parse(other.due));
  const actions = html`
    <${Button} icon="back" label=${say("week_before")} onClick=${() => setWeek(week - 1)} />
    <${Button} kind="quiet" onClick=${() => setWeek(0)}>${say("this_week")}<//>
    <${Button} icon="forth" label=${say("week_after")} onClick=${() => setWeek(week + 1)} />
  `;
  const today = dayIn(new Date());
  return html`
    <${Card} title=${weekOf(days[0], days[DAYS - 1])} actions=${actions}>
      <${Problem} trouble=${found.trouble} again=${found.again} />
      <${Problem} trouble=${schedules.trouble} again=${schedules.again} />
      ${(found.found?.more || schedules.found?.more) && html`<p class="soft">${say("week_too_full")}</p>`}
      <ol class="week">
        ${days.map((one) => {
          const key = dayIn(one);
          const there = all.filter((post) => dayIn(post.due, post.zone) === key);
          return html`
            <li key=${key} class="week-day ${key === today ? "week-today" : ""} ${there.length ? "" : "week-free"}">
              <h3>${dayOf(one)}</h3>
              <ul class="week-posts">${there.map((post) => html`<${Entry} key=${post.id ?? `${post.schedule} ${post.due}`} post=${post} changed=${changed} mayChange=${mayChange} />`)}</ul>
            </li>
          `;
        })}
      </ol>
    <//>
  `;
}

/** Times of schedules for which there is no post yet. */
function coming(schedules, posts) {
  const known = new Set(posts.map((one) => `${one.schedule} ${Date.parse(one.due)}`));
  return schedules
    .filter((one) => one.state === "active")
    .flatMap((one) => one.next.map((due) => ({ id: null, schedule: one.id, due, zone: one.zone, persona: one.persona, theme: one.theme, state: "coming", picture: null })))
    .filter((one) => !known.has(`${one.schedule} ${Date.parse(one.due)}`));
}

function Entry({ post, changed, mayChange }) {
  return html`
    <li class="entry entry-${post.state}">
      <time datetime=${post.due}>${clockIn(post.due, post.zone)}</time>
      <span class="entry-who">${post.persona || say("pictures")}</span>
      <span class="entry-state">${say(`post_${post.state}`)}</span>
      ${(post.caption || post.theme) && html`<span class="entry-words">${(post.caption || post.theme).slice(0, 90)}</span>`}
      ${post.picture && html`<a href=${hrefTo("picture", post.picture)}>${say("picture_title", { id: String(post.picture) })}</a>`}
      ${post.error && html`<span class="row-error">${post.error}</span>`}
      ${mayChange && post.state === "published" && html`<${Recall} post=${post} changed=${changed} />`}
    </li>
  `;
}

/** Takes a post back wherever it was shown, once somebody has said so twice. */
function Recall({ post, changed }) {
  const { tell } = useHouse();
  const [doing, act] = useDoing(tell);
  const [sure, ask] = useState(false);
  const recall = () =>
    act(async () => {
      const { messages } = await send(`/posts/${post.id}/recall`);
      ask(false);
      tell(say("recalled", { n: messages }), "good");
      changed();
    });
  return html`
    <${Button} kind="danger" class="entry-act" busy=${doing} onClick=${() => ask(true)}>${say("recall")}<//>
    ${sure &&
    html`
      <${Sure} title=${say("sure_recall", { name: post.persona })} yes=${say("recall")} act=${recall} close=${() => ask(false)}>
        ${say("sure_recall_more", { place: post.chat })}
      <//>
    `}
  `;
}
