// A week of posts, day by day: what is planned, made and published; and the times that no post stands for yet.

import { get, query } from "../api.js";
import { useAsked } from "../ui/asked.js";
import { Button } from "../ui/button.js";
import { Card } from "../ui/card.js";
import { Problem } from "../ui/problem.js";
import { hrefTo } from "../router.js";
import { html, useState } from "../vdom.js";
import { clockIn, dayIn, dayOf, say, weekOf } from "../views/saying.js";
import { zoneOf } from "./inbox.js";

const DAYS = 7;
const MOST = 1000;

/** The Monday of this week and so many further ones, at midnight here. */
export function monday(weeks, now = new Date()) {
  const start = new Date(now.getFullYear(), now.getMonth(), now.getDate() - ((now.getDay() + 6) % 7) + weeks * DAYS);
  return start;
}

export function Calendar({ turn, schedules }) {
  const [week, setWeek] = useState(0);
  const from = monday(week);
  const days = Array.from({ length: DAYS }, (_, n) => new Date(from.getFullYear(), from.getMonth(), from.getDate() + n));
  // A day more at either end: a place elsewhere may have begun the week, or not ended it.
  const [start, end] = [-1, DAYS + 1].map((n) => new Date(from.getFullYear(), from.getMonth(), from.getDate() + n).toISOString());
  const found = useAsked((signal) => between(start, end, signal), [turn, week]);
  const posts = (found.found ?? []).map((one) => ({ ...one, zone: zoneOf(schedules, one) }));
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
      <ol class="week">
        ${days.map((one) => {
          const key = dayIn(one);
          const there = all.filter((post) => dayIn(post.due, post.zone) === key);
          return html`
            <li key=${key} class="week-day ${key === today ? "week-today" : ""} ${there.length ? "" : "week-free"}">
              <h3>${dayOf(one)}</h3>
              <ul class="week-posts">${there.map((post) => html`<${Entry} key=${post.id ?? `${post.schedule} ${post.due}`} post=${post} />`)}</ul>
            </li>
          `;
        })}
      </ol>
    <//>
  `;
}

/** All posts of a week; of a very full one the first. */
async function between(from, to, signal) {
  const posts = [];
  let before = "";
  do {
    const page = await get(`/posts${query({ from, to, soonest: true, before, limit: 200 })}`, { signal });
    posts.push(...page.items);
    before = page.next;
  } while (before && posts.length < MOST);
  return posts;
}

/** Times of schedules for which there is no post yet. */
function coming(schedules, posts) {
  const known = new Set(posts.map((one) => `${one.schedule} ${Date.parse(one.due)}`));
  return schedules
    .filter((one) => one.state === "active")
    .flatMap((one) => one.next.map((due) => ({ id: null, schedule: one.id, due, zone: one.zone, persona: one.persona, theme: one.theme, state: "coming", picture: null })))
    .filter((one) => !known.has(`${one.schedule} ${Date.parse(one.due)}`));
}

function Entry({ post }) {
  return html`
    <li class="entry entry-${post.state}">
      <time datetime=${post.due}>${clockIn(post.due, post.zone)}</time>
      <span class="entry-who">${post.persona || say("pictures")}</span>
      <span class="entry-state">${say(`post_${post.state}`)}</span>
      ${(post.caption || post.theme) && html`<span class="entry-words">${(post.caption || post.theme).slice(0, 90)}</span>`}
      ${post.picture && html`<a href=${hrefTo("picture", post.picture)}>${say("picture_title", { id: String(post.picture) })}</a>`}
      ${post.error && html`<span class="row-error">${post.error}</span>`}
    </li>
  `;
}
