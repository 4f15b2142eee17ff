// What one thinks of a persona's words or picture: three marks at the edge of it, faint until somebody wants them.

import { useHouse } from "../house.js";
import { Icon } from "../ui/icon.js";
import { html } from "../vdom.js";
import { say } from "../words.js";

const MARKS = [
  ["👍", "like"],
  ["👎", "dislike"],
  ["❤", "heart"],
];
/** Whoever sits at this house, before it is known who is here. */
const OPERATOR = "home";

export function Reactions({ message, react }) {
  const { me } = useHouse();
  const who = me?.account ?? OPERATOR;
  const there = new Map((message.reactions ?? []).map(({ emoji, by }) => [emoji, by]));
  return html`
    <div class="reactions" role="group" aria-label=${say("reactions")}>
      ${MARKS.map(([emoji, name]) => html`<${Mark} key=${name} name=${name} by=${there.get(emoji) ?? []} who=${who} toggle=${(added) => react(emoji, added)} />`)}
    </div>
  `;
}

function Mark({ name, by, who, toggle }) {
  const mine = by.includes(who);
  const label = say(`react_${name}`);
  const look = `reaction reaction-${name} ${by.length > 0 ? "reaction-there" : ""}`;
  return html`
    <button type="button" class=${look} aria-pressed=${mine ? "true" : "false"} aria-label=${by.length > 1 ? `${label} (${by.length})` : label} title=${label} onClick=${() => toggle(!mine)}>
      <${Icon} name=${name} />${by.length > 1 && html`<span aria-hidden="true">${by.length}</span>`}
    </button>
  `;
}
