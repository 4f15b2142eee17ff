// Somebody new: a kind, a name, or nothing at all, and the house writes the rest.

import { post } from "../api.js";
import { go, hrefTo } from "../router.js";
import { Button } from "../ui/button.js";
import { Dialog } from "../ui/dialog.js";
import { Waiting } from "../ui/empty.js";
import { Field } from "../ui/field.js";
import { Problem } from "../ui/problem.js";
import { html, useState } from "../vdom.js";
import { say } from "../views/saying.js";

export function New({ close }) {
  const [kind, setKind] = useState("");
  const [name, setName] = useState("");
  const [doing, setDoing] = useState(false);
  const [trouble, setTrouble] = useState(null);
  const write = async (path, body) => {
    setDoing(true);
    setTrouble(null);
    try {
      const { persona } = await post(path, body);
      close();
      go(hrefTo("persona", persona.slug));
    } catch (error) {
      setTrouble(error);
      setDoing(false);
    }
  };
  const send = (event) => {
    event.preventDefault();
    write("/personas", { kind, name });
  };
  return html`
    <${Dialog} title=${say("new_persona")} close=${close}>
      <form class="form" onSubmit=${send}>
        <${Field} label=${say("kind_of_persona")} hint=${say("kind_hint")} maxlength="200" value=${kind} change=${setKind} />
        <${Field} label=${say("name_if_any")} maxlength="80" value=${name} change=${setName} />
        <${Problem} trouble=${trouble} />
        ${doing && html`<${Waiting} label=${say("being_written")} />`}
        <div class="form-end">
          <${Button} busy=${doing} onClick=${() => write("/personas/random", {})}>${say("anybody")}<//>
          <${Button} type="submit" kind="good" busy=${doing}>${say("have_written")}<//>
        </div>
      </form>
    <//>
  `;
}
