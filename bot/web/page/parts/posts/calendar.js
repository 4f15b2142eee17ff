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
/** So many letters of a post are told in its day; how many of them are seen, the room there says. */
const MOST = 300;

/** The Monday of this week and so many further ones, at midnight here. */
export function monday(weeks, now = new Date()) {
  const start = new Date(now.getFullYear(), now.getMonth(), now.getDate() - ((now.getDay() + 6) % 7) + weeks * DAYS);
  return start;
}

/** The posts of a week that one turns over: `number` says which, `has(moment)` whether it may be of it. */
export function useWeek() {
  const [number, turn] = useState(0);
  const from = monday(number);
  // A day more at either end: a place elsewhere may have begun the week, or not ended it.
  const [start, end] = [-1, DAYS + 1].map((n) => new Date(from.getFullYear(), from.getMonth(), from.getDate() + n));
  const facts = { from: start.toISOString(), to: end.toISOString(), soonest: true };
  const posts = useAsked((signal) => everyOne("/posts", facts, signal), [facts.from]);
  const has = (moment) => start <= Date.parse(moment) && Date.parse(moment) < end;
  return { ...posts, number, turn, from, has };
}

export function Calendar({ week, soon, mayChange, every }) {
  const { number, turn, from } = week;
  const days = Array.from({ length: DAYS }, (_, n) => new Date(from.getFullYear(), from.getMonth(), from.getDate() + n));
  const posts = (week.found?.items ?? []).map((one) => ({ ...one, zone: zoneOf(every, one) }));
  const all = [...posts, ...coming(every.found?.items ?? [], posts)].sort((one, other) => Date.parse(one.due) - Date.parse(other.due));
  const actions = html`
    <${Button} icon="back" label=${say("week_before")} onClick=${() => turn(number - 1)} />
    <${Button} kind="quiet" onClick=${() => turn(0)}>${say("this_week")}<//>
    <${Button} icon="forth" label=${say("week_after")} onClick=${() => turn(number + 1)} />
  `;
  const today = dayIn(new Date());
  return html`
    <${Card} title=${weekOf(days[0], days[DAYS - 1])} actions=${actions}>
      <${Problem} trouble=${week.trouble} again=${week.again} />
      <${Problem} trouble=${every.trouble} again=${every.again} />
      ${(week.found?.more || every.found?.more) && html`<p class="soft">${say("week_too_full")}</p>`}
      <ol class="week">
        ${days.map((one) => {
          const key = dayIn(one);
          const there = all.filter((post) => dayIn(post.due, post.zone) === key);
          return html`
            <li key=${key} class="week-day ${key === today ? "week-today" : ""} ${there.length ? "" : "week-free"}">
              <h3>${dayOf(one)}</h3>
              <ul class="week-posts">${there.map((post) => html`<${Entry} key=${post.id ?? `${post.schedule} ${post.due}`} post=${post} soon=${soon} mayChange=${mayChange} />`)}</ul>
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

function Entry({ post, soon, mayChange }) {
  return html`
    <li class="entry entry-${post.state}">
      <time datetime=${post.due}>${clockIn(post.due, post.zone)}</time>
      <span class="entry-who">${post.persona || say("pictures")}</span>
      <span class="entry-state">${say(`post_${post.state}`)}</span>
      ${(post.caption || post.theme) && html`<span class="entry-words">${(post.caption || post.theme).slice(0, MOST)}</span>`}
      ${post.picture && html`<a href=${hrefTo("picture", post.picture)}>${say("picture_title", { id: String(post.picture) })}</a>`}
      ${post.error && html`<span class="row-error">${post.error}</span>`}
      ${mayChange && post.state === "published" && html`<${Recall} post=${post} soon=${soon} />`}
    </li>
  `;
}

/** Takes a post back wherever it was shown, once somebody has said so twice. */
function Recall({ post, soon }) {
  const { tell } = useHouse();
  const [doing, act] = useDoing(tell);
  const [sure, ask] = useState(false);
  const recall = () =>
    act(async () => {
      const { messages } = await send(`/posts/${post.id}/recall`);
      ask(false);
      tell(say("recalled", { n: messages }), "good");
      soon("week");
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
