// A list that changes while it is looked at, page by page: until what is new has come, all stays as it stands.

import { useCallback, useEffect, useRef, useState } from "../vdom.js";

const NOTHING = { items: [], next: null, loading: true, trouble: null, found: false };

/** `load(cursor, signal)` asks for a page. When one of `facts` changes, as much is asked for again as stands there. */
export function useLasting(load, facts = []) {
  const [list, setList] = useState(NOTHING);
  const asking = useRef(null);
  const shown = useRef(0);
  /** Something is asked for anew, or could not be: then the way to more is to ask for all of it. */
  const anew = useRef(false);
  const ask = async (work) => {
    asking.current?.abort();
    const mine = new AbortController();
    asking.current = mine;
    try {
      const { items, next } = await work(mine.signal);
      if (mine.signal.aborted) return;
      shown.current = items.length;
      anew.current = false;
      setList({ items, next, loading: false, trouble: null, found: true });
    } catch (trouble) {
      if (!mine.signal.aborted) setList((now) => ({ ...now, loading: false, trouble }));
    }
  };
  const again = useCallback(() => {
    anew.current = true;
    return ask((signal) => asFarAs(load, shown.current, signal));
  }, facts);
  useEffect(() => {
    again();
    return () => asking.current?.abort();
  }, [again]);
  const further = () => {
    if (list.loading) return undefined;
    setList((now) => ({ ...now, loading: true, trouble: null }));
    if (!anew.current) return ask((signal) => behind(load, list, signal));
    shown.current += 1;
    return again();
  };
  return {
    ...list,
    further,
    again,
    /** What comes then may be older than what is told now. */
    isAsked: () => anew.current,
    setItems: (change) => setList((now) => ({ ...now, items: change(now.items) })),
  };
}

/** The pages from the first one on, until there are so many, or no more. */
async function asFarAs(load, count, signal) {
  const items = [];
  let next = null;
  do {
    const page = await load(next, signal);
    items.push(...page.items);
    next = page.next;
  } while (next !== null && items.length < count);
  return { items, next };
}

async function behind(load, list, signal) {
  const page = await load(list.next, signal);
  const there = new Set(list.items.map((one) => one.id));
  return { items: [...list.items, ...page.items.filter((one) => !there.has(one.id))], next: page.next };
}

/** How many there are, as far as anybody knows: `12`, or `50+` where more come behind. */
export const countOf = (list) => `${list.items.length}${list.next === null ? "" : "+"}`;
