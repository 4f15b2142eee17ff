// What personas post: what waits for a word, what is coming in which week, the schedules behind it, and the feeds.

import { useHouse } from "../house.js";
import { Calendar, useWeek } from "../posts/calendar.js";
import { everyOne } from "../posts/every.js";
import { Feeds, lookAtFeeds } from "../posts/feeds.js";
import { Inbox, lookAtWaiting } from "../posts/inbox.js";
import { lookAtSchedules, Schedules } from "../posts/schedules.js";
import { useAsked } from "../ui/asked.js";
import { useLasting } from "../ui/lasting.js";
import { Page } from "../ui/page.js";
import { useSoon } from "../ui/soon.js";
import { html, useEffect, useRef } from "../vdom.js";
import { say } from "./saying.js";

/** Of such a post nothing more is to come. */
const OVER = ["published", "skipped", "failed", "recalled"];

export default function Posts() {
  const { live, me } = useHouse();
  const inbox = useLasting(lookAtWaiting);
  const week = useWeek();
  const schedules = useLasting(lookAtSchedules);
  // The week needs them all, however many are listed below.
  const every = useAsked((signal) => everyOne("/schedules", {}, signal));
  const feeds = useLasting(lookAtFeeds);
  const lists = { inbox: [inbox], week: [week], schedules: [schedules, every], feeds: [feeds] };
  const soon = useSoon((names) => Promise.all(names.flatMap((one) => lists[one]).map((list) => list.again())));
  const heard = useRef(null);
  heard.current = ({ is, post }) => {
    if (is === "again") soon(...Object.keys(lists));
    else if (is === "beat") soon(...after(inbox, week));
    else if (is === "post") soon(...concerned(post, { inbox, week, schedules }));
  };
  useEffect(() => live.watch("posts", (event) => heard.current(event)), [live]);
  const shared = { soon, every, mayChange: !me || me.scopes.includes("manage") };
  return html`
    <${Page} title=${say("place_posts")}>
      <${Inbox} waiting=${inbox} ...${shared} />
      <${Calendar} week=${week} ...${shared} />
      <${Schedules} schedules=${schedules} ...${shared} />
      <${Feeds} feeds=${feeds} ...${shared} />
    <//>
  `;
}

/** Which lists show a post as it was, or are to show it. */
function concerned(post, { inbox, week, schedules }) {
  const isThere = (items = []) => items.some((one) => one.id === post.id);
  const schedule = schedules.items.find((one) => one.id === post.schedule);
  return [
    (post.state === "waiting" || inbox.isAsked() || isThere(inbox.items)) && "inbox",
    (week.has(post.due) || isThere(week.found?.items)) && "week",
    isPast(schedule?.next[0]) && "schedules",
  ].filter(Boolean);
}

/** Which lists some time may have changed: nobody tells of schedules and feeds, nor of posts that nothing came of. */
function after(inbox, week) {
  if (document.hidden) return [];
  const isLate = (items = []) => items.some((one) => isPast(one.due) && !OVER.includes(one.state));
  return ["schedules", "feeds", isLate(inbox.items) && "inbox", isLate(week.found?.items) && "week"].filter(Boolean);
}

const isPast = (moment) => Date.parse(moment) <= Date.now();
