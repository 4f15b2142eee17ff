// Which view an address means: `#/chat/home?x=1` is the place `chat`, with `home` behind it.

import { useEffect, useState } from "./vdom.js";

const HOME = "#/chat";

export function routeOf(hash) {
  const [path, asked = ""] = (hash.startsWith("#/") ? hash : HOME).slice(2).split("?", 2);
  const [place, ...rest] = path.split("/").filter(Boolean).map(decoded);
  return { place: place ?? "chat", rest, asked: new URLSearchParams(asked) };
}

/** The address of a view: `hrefTo("chat", "home")`. */
export function hrefTo(place, ...rest) {
  return `#/${[place, ...rest].map((part) => encodeURIComponent(part)).join("/")}`;
}

export function go(href) {
  location.hash = href;
}

export function useRoute() {
  const [route, setRoute] = useState(() => routeOf(location.hash));
  useEffect(() => {
    const moved = () => {
      // A link inside a page (`#main`) is no place of ours.
      if (!location.hash || location.hash.startsWith("#/")) setRoute(routeOf(location.hash));
    };
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  return route;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
