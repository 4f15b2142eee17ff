// What a browser keeps for us between visits, or only in this tab. What it will not keep, stays until the page goes.

import { useRef, useState } from "./vdom.js";

function keeping(store) {
  const unkept = new Map();
  return {
    get(name) {
      if (unkept.has(name)) return unkept.get(name);
      try {
        return store().getItem(`greenroom.${name}`) ?? "";
      } catch {
        return "";
      }
    },
    set(name, value) {
      unkept.delete(name);
      try {
        if (value) store().setItem(`greenroom.${name}`, value);
        else store().removeItem(`greenroom.${name}`);
      } catch {
        unkept.set(name, value); // full, or not allowed
      }
    },
  };
}

export const forGood = keeping(() => localStorage);
export const inThisTab = keeping(() => sessionStorage);

/** What somebody types, kept in this tab with every letter: nothing is lost when it leaves the page the next moment. */
export function useTyped(name, { read = (kept) => kept, written = (typed) => typed } = {}) {
  const [typed, setTyped] = useState(() => read(inThisTab.get(name)));
  const now = useRef(typed);
  const type = (to) => {
    now.current = typeof to === "function" ? to(now.current) : to;
    inThisTab.set(name, written(now.current));
    setTyped(now.current);
  };
  return [typed, type];
}
