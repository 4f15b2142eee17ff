// A browser asks before a tab closes in which something is not saved. Within the page it is kept, and nobody is asked.

import { useEffect } from "../vdom.js";

export function useUnsaved(changed) {
  useEffect(() => {
    if (!changed) return undefined;
    const ask = (event) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [changed]);
}
