// Jobs while they are looked at: how far each is, and what became of it.

import { get } from "./api.js";
import { useHouse } from "./house.js";
import { useEffect, useReducer, useRef } from "./vdom.js";

export const ENDED = ["done", "failed", "cancelled"];
/** So often one job is looked at beside what is told of it: it may have ended before anybody listened. */
const LOOK_EVERY = 2000;

/** One job and its latest step: `{job, step, trouble}`, from its beginning to its end. */
export function useJob(first) {
  const { live } = useHouse();
  const [state, change] = useReducer(next, { job: first, step: null, trouble: null });
  useEffect(() => {
    if (!first) return undefined;
    let there = true;
    let timer = 0;
    change({ job: first, step: null, trouble: null });
    const load = async () => {
      clearTimeout(timer);
      try {
        const job = await get(`/jobs/${first.id}`);
        if (there) change({ job, trouble: null });
        if (ENDED.includes(job.state)) return;
      } catch (trouble) {
        if (there) change({ trouble });
      }
      if (there) timer = setTimeout(load, LOOK_EVERY);
    };
    const leave = live.watch("jobs", (event) => {
      if (event.is === "job" && event.job.id === first.id) change({ job: event.job });
      else if (event.is === "step" && event.job === first.id) change({ step: event });
      else if (event.is === "again") load();
    });
    load();
    return () => {
      there = false;
      clearTimeout(timer);
      leave();
    };
  }, [first?.id, live]);
  return first ? state : { job: null, step: null, trouble: null };
}

/** What was asked for earlier may be answered later: an end is an end. */
function next(now, more) {
  const over = now.job && more.job && now.job.id === more.job.id && ENDED.includes(now.job.state);
  return over && !ENDED.includes(more.job.state) ? now : { ...now, ...more };
}

/** The latest step of every job in work, by its number. `changed(job)` is told of whatever happens to one of them. */
export function useSteps(changed, again) {
  const { live } = useHouse();
  const steps = useRef(new Map());
  const told = useRef({ changed, again });
  told.current = { changed, again };
  const [, redraw] = useReducer((count) => count + 1, 0);
  useEffect(
    () =>
      live.watch("jobs", (event) => {
        if (event.is === "step") {
          const before = steps.current.get(event.job);
          steps.current.set(event.job, { ...event, preview: event.preview ?? before?.preview ?? null });
        } else if (event.is === "job") {
          if (ENDED.includes(event.job.state)) steps.current.delete(event.job.id);
          told.current.changed(event.job);
        } else if (event.is === "again") {
          told.current.again();
          return;
        } else return;
        redraw();
      }),
    [live],
  );
  return steps.current;
}
