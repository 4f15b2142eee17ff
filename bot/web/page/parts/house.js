// What every part may ask of the shell: who is here, the live connection, and a word in passing.

import { createContext, useContext } from "./vdom.js";

export const House = createContext(null);

/** `{live, me, tell(text, kind)}`: `me` is who is here, with their `scopes`, and null until that is known. */
export const useHouse = () => useContext(House);
