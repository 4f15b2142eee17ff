// Filters that stand in the address, so that going back finds the list as it was.

import { query } from "../api.js";

/** The address of a view with these filters: `#/gallery?style=…`. */
export function filtered(href, asked, change) {
  return href + query({ ...Object.fromEntries(asked), ...change });
}
