// A browser asks before a tab closes in which something is not saved. Within the page it is kept, and nobody is asked.

import { useLayoutEffect } from "../vdom.js";

export function useUnsaved(changed) {
  // From the moment it shows: whoever is quick is asked, too.
  useLayoutEffect(() => {
    if (!changed) return undefined;
    const ask = (event) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [changed]);
}
