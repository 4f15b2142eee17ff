// Lists that come page by page: `{items, next}`, where `next` is the cursor of the page behind.

import { html, useCallback, useEffect, useRef, useState } from "../vdom.js";
import { say } from "../words.js";
import { Button } from "./button.js";
import { Waiting } from "./empty.js";
import { Problem } from "./problem.js";

const NOTHING = { items: [], next: null, loading: true, trouble: null };

/**
 * `load(cursor, signal)` asks for a page. When one of `facts` changes, the list begins anew; what stands there stays
 * until the new one has come, so that whoever is in it by keyboard is not thrown out. `setItems(change)` has to bear
 * being done twice: what is changed while a page is on its way is changed in that page, too.
 */
export function usePages(load, facts = []) {
  const [list, setList] = useState(NOTHING);
  const asking = useRef(null);
  /** What is changed while a page is on its way; null: none is. */
  const meanwhile = useRef(null);
  const more = useCallback(async (cursor) => {
    asking.current?.abort();
    const mine = new AbortController();
    asking.current = mine;
    const changes = (meanwhile.current = []);
    const changed = (items) => changes.reduce((now, change) => change(now), items);
    // Whoever looks for the next page may know the list as it was a while ago.
    const listed = (now) => (cursor === null ? [] : now.items);
    setList((now) => ({ items: now.items, next: cursor, loading: true, trouble: null }));
    try {
      const page = await load(cursor, mine.signal);
      if (mine.signal.aborted) return;
      setList((now) => ({ items: changed([...listed(now), ...page.items]), next: page.next, loading: false, trouble: null }));
    } catch (trouble) {
      if (mine.signal.aborted) return;
      setList((now) => ({ items: changed(listed(now)), next: cursor, loading: false, trouble }));
    }
    meanwhile.current = null;
  }, facts);
  useEffect(() => {
    more(null);
    return () => asking.current?.abort();
  }, [more]);
  return {
    ...list,
    setItems: (change) => {
      meanwhile.current?.push(change);
      setList((now) => ({ ...now, items: change(now.items) }));
    },
    further: () => list.loading || more(list.next),
    again: () => more(null),
  };
}

/** Stands under a list, and asks for the next page when it comes into sight. */
export function Pager({ pages }) {
  const end = useRef(null);
  const ready = !pages.loading && !pages.trouble && pages.next !== null;
  useEffect(() => {
    if (!ready || !end.current) return undefined;
    const watcher = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && pages.further(), {
      rootMargin: "400px",
    });
    watcher.observe(end.current);
    return () => watcher.disconnect();
  }, [ready, pages.next]);
  return html`
    <div ref=${end} class="pager">
      ${pages.loading && html`<${Waiting} label=${say("loading")} />`}
      <${Problem} trouble=${pages.trouble} again=${pages.further} />
      ${ready && html`<${Button} onClick=${pages.further}>${say("more")}<//>`}
    </div>
  `;
}
