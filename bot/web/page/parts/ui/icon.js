// Line drawings of 24 by 24. They say nothing by themselves: words stand beside them, or in the label around them.

import { html } from "../vdom.js";

const PATHS = {
  back: "M15 5l-7 7 7 7",
  calendar: "M5 6h14v14H5zM5 10h14M9 3v4M15 3v4",
  chart: "M4 20h16M7 16v-5M12 16V6M17 16v-8",
  check: "M5 12.5l5 5L19 7",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  down: "M12 5v14M6 13l6 6 6-6",
  dislike: "M7 13V4H4v9zM7 13l4 8a2.2 2.2 0 0 0 2.2-2.2V15H19a2 2 0 0 0 2-2.3l-1.1-7A2 2 0 0 0 17.9 4H7",
  forth: "M9 5l7 7-7 7",
  fill: "M4 5h16v6H4zM4 15h9v4H4zM17 15v4M15 17h4",
  heart: "M12 20s-8-4.7-8-10.5A4.5 4.5 0 0 1 12 7a4.5 4.5 0 0 1 8 2.5C20 15.3 12 20 12 20z",
  like: "M7 11v9H4v-9zM7 11l4-8a2.2 2.2 0 0 1 2.2 2.2V9H19a2 2 0 0 1 2 2.3l-1.1 7A2 2 0 0 1 17.9 20H7",
  list: "M9 6h11M9 12h11M9 18h11M4 6h.01M4 12h.01M4 18h.01",
  menu: "M4 7h16M4 12h16M4 17h16",
  moon: "M20 14.5A8 8 0 0 1 9.5 4 8 8 0 1 0 20 14.5z",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20a6.5 6.5 0 0 1 13 0M16 4.3a3.5 3.5 0 0 1 0 6.4M18 14.5a6.5 6.5 0 0 1 3.5 5.5",
  out: "M14 4H5v16h9M10 12h10M16 8l4 4-4 4",
  pen: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5h.01",
  plus: "M12 5v14M5 12h14",
  puzzle: "M5 9h3a2 2 0 1 1 4 0h3v4a2 2 0 1 1 0 4v3H5z",
  refresh: "M20 11A8 8 0 0 0 5.5 7.5L4 9M4 4v5h5M4 13a8 8 0 0 0 14.5 3.5L20 15M20 20v-5h-5",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM20 20l-4-4",
  send: "M4 12l16-8-6 16-3-7z",
  stop: "M7 7h10v10H7z",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2v2M12 20v2M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M2 12h2M20 12h2M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4",
  system: "M4 5h16v11H4zM9 20h6M12 16v4",
  talk: "M4 5h16v11H10l-5 4v-4H4z",
};

export function Icon({ name }) {
  return html`
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d=${PATHS[name] ?? ""} />
    </svg>
  `;
}
