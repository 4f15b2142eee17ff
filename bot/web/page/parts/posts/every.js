// All of a list, page by page, for those who need it whole; of a very long one the first.

import { get, query } from "../api.js";

const MOST = 1000;

/** `{items, more}`: `more` says that there are others behind the last one. */
export async function everyOne(path, facts, signal) {
  const items = [];
  let before = null;
  do {
    const page = await get(path + query({ ...facts, before, limit: 200 }), { signal });
    items.push(...page.items);
    before = page.next;
  } while (before !== null && items.length < MOST);
  return { items, more: before !== null };
}
