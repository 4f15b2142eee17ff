// Lists that are asked for again because something happened: once for all that comes in a short while, and once more for
// what comes while they are asked for. So what stands there in the end is the last of it, however much that was.

import { useCallback, useEffect, useRef } from "../vdom.js";

const PAUSE = 300;

/** Answers `soon(...names)`. `ask(names)` asks for the lists of these names, and is over when they have come. */
export function useSoon(ask) {
  const latest = useRef(ask);
  latest.current = ask;
  const named = useRef(new Set()).current;
  const timer = useRef(0);
  const gone = useRef(false);
  useEffect(
    () => () => {
      gone.current = true;
      clearTimeout(timer.current);
    },
    [],
  );
  const begin = async () => {
    const names = [...named];
    named.clear();
    try {
      await latest.current(names);
    } finally {
      timer.current = named.size > 0 && !gone.current ? setTimeout(begin, PAUSE) : 0;
    }
  };
  return useCallback((...names) => {
    for (const one of names) named.add(one);
    if (named.size > 0 && !gone.current) timer.current ||= setTimeout(begin, PAUSE);
  }, []);
}
