// The views in the order of the navigation. Each is a file `views/NAME.js` that exports `default`, a component that
// gets `{route}`; its name in the navigation is the word `place_NAME`. Without an icon it is reached from others only;
// whoever may not do what it needs (one of these, where it is a list) does not see it.

const LOOK = ["read", "make"];

export const PLACES = [
  { name: "chat", icon: "talk", needs: "chat", load: () => import("./views/chat.js") },
  { name: "gallery", icon: "picture", needs: LOOK, load: () => import("./views/gallery.js") },
  { name: "picture", needs: LOOK, load: () => import("./views/picture.js") },
  { name: "queue", icon: "list", needs: LOOK, load: () => import("./views/queue.js") },
  { name: "backfill", icon: "fill", needs: "read", load: () => import("./views/backfill.js") },
  { name: "posts", icon: "calendar", needs: "read", load: () => import("./views/posts.js") },
  { name: "prompt", icon: "pen", needs: "make", load: () => import("./views/prompt.js") },
  { name: "personas", icon: "people", needs: "read", load: () => import("./views/personas.js") },
  { name: "persona", needs: "read", load: () => import("./views/persona.js") },
  { name: "models", icon: "puzzle", needs: "read", load: () => import("./views/models.js") },
  { name: "health", icon: "chart", needs: "read", load: () => import("./views/health.js") },
];
