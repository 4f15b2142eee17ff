// What the house found wrong with somebody, at the fields that it is about.

import { say } from "./saying.js";

/**
 * `{status, at, said}`: `at` has the sentences by the path of their field; `said` is what belongs to no field, or that
 * there is something to look at.
 */
export function placed(error, fields) {
  const at = {};
  const elsewhere = [];
  for (const { pointer, detail } of error.errors ?? []) {
    const where = pointer.split("/").slice(2).map((one) => one.replaceAll("~1", "/").replaceAll("~0", "~"));
    const field = fields.find(({ path }) => path.split(".").every((name, place) => where[place] === name));
    if (field) at[field.path] = [at[field.path], sentence(where.slice(field.path.split(".").length), detail)].filter(Boolean).join(" ");
    else elsewhere.push(detail);
  }
  const found = Object.keys(at).length > 0;
  const said = found && elsewhere.length === 0 ? new Error(say("see_marked")) : elsewhere.length > 0 ? new Error(elsewhere.join(" ")) : error;
  return { status: error.status, at, said };
}

/** In a list it is said which one is meant: by its number, or by its name. */
function sentence([which], detail) {
  if (which === undefined) return detail;
  return /^\d+$/.test(which) ? say("nth_is_wrong", { n: Number(which) + 1, detail }) : say("this_is_wrong", { which, detail });
}
