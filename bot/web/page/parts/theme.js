// Light, dark, or as the system has it. What was chosen is kept; `first.js` reads it before anything is drawn.

import { forGood } from "./kept.js";
import { html, useState } from "./vdom.js";
import { Button } from "./ui/button.js";
import { say } from "./words.js";

const THEMES = ["system", "light", "dark"];
const ICONS = { system: "system", light: "sun", dark: "moon" };

export function ThemeSwitch() {
  const [theme, setTheme] = useState(() => document.documentElement.dataset.theme ?? "system");
  const turn = () => {
    const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    forGood.set("theme", next === "system" ? "" : next);
    setTheme(next);
  };
  return html`<${Button} kind="quiet" class="rail-button" icon=${ICONS[theme]} onClick=${turn}>${say(`theme_${theme}`)}<//>`;
}
