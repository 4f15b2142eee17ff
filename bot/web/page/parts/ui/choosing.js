// What there is to choose from: personas and styles by their names.

import { get } from "../api.js";
import { useAsked } from "./asked.js";

const NOBODY = { personas: [], styles: [] };

/** `{personas: [{slug, name}], styles: [{slug, name}]}`, empty until it is known. */
export function useVocabulary() {
  return useAsked((signal) => get("/vocabulary", { signal })).found ?? NOBODY;
}

/** `[{slug, name}]`: how pictures may look. */
export function useStyles() {
  return useAsked((signal) => get("/styles", { signal })).found?.items ?? NOBODY.styles;
}

/** As the choices of a field, with a first one that leaves it open. */
export const choicesOf = (named, open) => [["", open], ...named.map((one) => [one.slug, one.name])];
