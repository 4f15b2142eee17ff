// The same picture, but for what is changed: a form, and then what came of it.

import { newKey, post } from "../api.js";
import { useHouse } from "../house.js";
import { Made } from "../made.js";
import { useDoing } from "../ui/asked.js";
import { Button } from "../ui/button.js";
import { Field } from "../ui/field.js";
import { html, useState } from "../vdom.js";
import { say } from "../views/saying.js";

const NUMBERS = ["seed", "steps", "guidance", "width", "height"];

export function Again({ picture }) {
  const { tell } = useHouse();
  const asFound = { scene: picture.scene, prompt: picture.prompt, negative: picture.negative };
  for (const name of NUMBERS) asFound[name] = String(picture[name]);
  const [typed, setTyped] = useState(asFound);
  const [order, setOrder] = useState(null);
  const [doing, act] = useDoing(tell);
  const field = (name) => ({ value: typed[name], change: (value) => setTyped((now) => ({ ...now, [name]: value })) });
  const send = (event) => {
    event.preventDefault();
    const changes = {};
    for (const [name, value] of Object.entries(typed)) {
      if (value === asFound[name] || (NUMBERS.includes(name) && !value)) continue;
      changes[name] = NUMBERS.includes(name) ? Number(value) : value;
    }
    act(async () => setOrder(await post(`/pictures/${picture.id}/again`, { changes, key: newKey() })));
  };
  const numeric = { type: "number", step: "any", inputmode: "decimal" };
  return html`
    <form class="form" onSubmit=${send}>
      <${Field} label=${say("prompt_words")} rows="6" maxlength="8000" ...${field("prompt")} />
      <${Field} label=${say("negative")} rows="2" maxlength="2000" ...${field("negative")} />
      <div class="form-row">
        <${Field} label=${say("seed")} ...${numeric} min="0" ...${field("seed")} />
        <${Field} label=${say("steps_word")} ...${numeric} min="0" ...${field("steps")} />
        <${Field} label=${say("guidance")} ...${numeric} min="0" ...${field("guidance")} />
      </div>
      <div class="form-end">
        <${Button} type="submit" kind="good" icon="refresh" busy=${doing}>${say("render")}<//>
      </div>
    </form>
    <${Made} order=${order} />
  `;
}
