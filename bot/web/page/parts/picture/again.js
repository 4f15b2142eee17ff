// The same picture, but for what is changed: a form, and then what came of it.

import { newKey, post } from "../api.js";
import { useHouse } from "../house.js";
import { Made } from "../made.js";
import { useDoing } from "../ui/asked.js";
import { Button } from "../ui/button.js";
import { useStyles } from "../ui/choosing.js";
import { Choice, Field } from "../ui/field.js";
import { Problem } from "../ui/problem.js";
import { html, useState } from "../vdom.js";
import { say } from "../views/saying.js";
import { OWN, Size } from "./size.js";

const NUMBERS = ["seed", "steps", "guidance"];
const SIDES = ["width", "height"];
const COUNTS = ["1", "2", "3", "4"];

/** `shapes`: how large it would be in each shape. */
export function Again({ picture, shapes }) {
  const { tell } = useHouse();
  const asFound = { prompt: picture.prompt, negative: picture.negative, style: picture.style, count: "1", shape: "" };
  for (const name of [...NUMBERS, ...SIDES]) asFound[name] = String(picture[name]);
  const [typed, setTyped] = useState(asFound);
  const [order, setOrder] = useState(null);
  const [trouble, setTrouble] = useState(null);
  const [doing, act] = useDoing(tell);
  const field = (name) => ({ value: typed[name], change: (value) => setTyped((now) => ({ ...now, [name]: value })) });
  const send = (event) => {
    event.preventDefault();
    setTrouble(null);
    act(async () => {
      try {
        setOrder(await post(`/pictures/${picture.id}/again`, { changes: changesOf(typed, asFound), key: newKey() }));
      } catch (error) {
        setTrouble(error);
      }
    });
  };
  const numeric = { type: "number", step: "any", inputmode: "decimal" };
  return html`
    <form class="form" onSubmit=${send}>
      <${Field} label=${say("prompt_words")} rows="6" maxlength="8000" ...${field("prompt")} />
      <${Field} label=${say("negative")} rows="2" maxlength="2000" ...${field("negative")} />
      <div class="form-row">
        <${Style} picture=${picture} changed=${typed.style !== picture.style} ...${field("style")} />
        <${Choice} label=${say("how_many")} choices=${COUNTS.map((one) => [one, one])} ...${field("count")} />
      </div>
      <${Size} picture=${picture} shapes=${shapes} shape=${field("shape")} width=${field("width")} height=${field("height")} />
      <div class="form-row">
        <${Field} label=${say("seed")} ...${numeric} min="0" ...${field("seed")} />
        <${Field} label=${say("steps_word")} ...${numeric} min="0" ...${field("steps")} />
        <${Field} label=${say("guidance")} ...${numeric} min="0" ...${field("guidance")} />
      </div>
      <${Problem} trouble=${trouble} />
      <div class="form-end">
        <${Button} type="submit" kind="good" icon="refresh" busy=${doing}>${say("render")}<//>
      </div>
    </form>
    <${Made} order=${order} />
  `;
}

function Style({ picture, changed, ...field }) {
  const named = useStyles().map((one) => [one.slug, one.name]);
  // A style that is no more is still how this one was made.
  const there = named.some(([one]) => one === picture.style) ? named : [[picture.style, picture.style], ...named];
  return html`<${Choice} label=${say("style")} choices=${there} hint=${changed ? say("style_writes_anew") : undefined} ...${field} />`;
}

/** Only what is otherwise than it was: what nobody touched stays exactly as it is. */
function changesOf(typed, asFound) {
  const changes = {};
  for (const name of ["prompt", "negative", "style"]) if (typed[name] !== asFound[name]) changes[name] = typed[name];
  const numbers = typed.shape === OWN ? [...NUMBERS, ...SIDES] : NUMBERS;
  for (const name of numbers) if (typed[name] && typed[name] !== asFound[name]) changes[name] = Number(typed[name]);
  if (typed.shape && typed.shape !== OWN) changes.shape = typed.shape;
  if (typed.count !== asFound.count) changes.count = Number(typed.count);
  return changes;
}
