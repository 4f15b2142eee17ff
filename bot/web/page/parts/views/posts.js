// What personas post: what waits for a word, what is coming in which week, the schedules behind it, and the feeds.

import { useHouse } from "../house.js";
import { Calendar } from "../posts/calendar.js";
import { everyOne } from "../posts/every.js";
import { Feeds } from "../posts/feeds.js";
import { Inbox } from "../posts/inbox.js";
import { Schedules } from "../posts/schedules.js";
import { useAsked } from "../ui/asked.js";
import { Page } from "../ui/page.js";
import { html, useEffect, useRef, useState } from "../vdom.js";
import { say } from "./saying.js";

/** Everything is asked for again this long after something happened to a post. */
const PAUSE = 300;

export default function Posts() {
  const { live, me } = useHouse();
  const [turn, setTurn] = useState(0);
  const timer = useRef(0);
  const changed = () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setTurn((now) => now + 1), PAUSE);
  };
  useEffect(() => {
    const leave = live.watch("posts", changed);
    return () => {
      leave();
      clearTimeout(timer.current);
    };
  }, [live]);
  const schedules = useAsked((signal) => everyOne("/schedules", {}, signal), [turn]);
  const shared = { turn, changed, mayChange: !me || me.scopes.includes("manage"), schedules };
  return html`
    <${Page} title=${say("place_posts")}>
      <${Inbox} ...${shared} />
      <${Calendar} ...${shared} />
      <${Schedules} ...${shared} />
      <${Feeds} ...${shared} />
    <//>
  `;
}
