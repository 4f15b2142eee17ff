// Where the page begins: it makes the one connection to the house, and puts up the shell.

import { Live } from "./parts/live.js";
import { Shell } from "./parts/shell.js";
import { html, render } from "./parts/vdom.js";
import { language } from "./parts/words.js";

document.documentElement.lang = language;
const live = new Live(new URL("/api/v1/live", location.href));
render(html`<${Shell} live=${live} />`, document.getElementById("page"));
live.open();
