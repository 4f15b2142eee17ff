// One thing that the house is asked for: what came, or why it did not, and how it is asked for again.

import { useCallback, useEffect, useRef, useState } from "../vdom.js";

/** `load(signal)` asks. When one of `facts` changes, it is asked anew; until then what was found stays. */
export function useAsked(load, facts = []) {
  const [asked, setAsked] = useState({ found: null, trouble: null, loading: true });
  const asking = useRef(null);
  const again = useCallback(async () => {
    asking.current?.abort();
    const mine = new AbortController();
    asking.current = mine;
    try {
      const found = await load(mine.signal);
      if (!mine.signal.aborted) setAsked({ found, trouble: null, loading: false });
    } catch (trouble) {
      if (!mine.signal.aborted) setAsked((now) => ({ ...now, trouble, loading: false }));
    }
  }, facts);
  useEffect(() => {
    setAsked((now) => ({ ...now, loading: true }));
    again();
    return () => asking.current?.abort();
  }, [again]);
  return { ...asked, again, set: (change) => setAsked((now) => ({ ...now, found: change(now.found) })) };
}

/** Something that is done once at a time. Answers `[doing, act]`; what goes wrong is told in passing. */
export function useDoing(tell) {
  const [doing, setDoing] = useState(false);
  const act = async (work) => {
    if (doing) return undefined;
    setDoing(true);
    try {
      return await work();
    } catch (trouble) {
      tell(trouble.message, "trouble");
      return undefined;
    } finally {
      setDoing(false);
    }
  };
  return [doing, act];
}
