// The prompt builder: a persona, a scene and weights become the words of a picture, to look at before it is painted.

import { newKey, post } from "../api.js";
import { useHouse } from "../house.js";
import { Made } from "../made.js";
import { Looked } from "../prompt/looked.js";
import { Weights } from "../prompt/weights.js";
import { useDoing } from "../ui/asked.js";
import { Button } from "../ui/button.js";
import { Card } from "../ui/card.js";
import { choicesOf, useVocabulary } from "../ui/choosing.js";
import { Copied } from "../ui/copied.js";
import { Choice, Field } from "../ui/field.js";
import { Page } from "../ui/page.js";
import { Problem } from "../ui/problem.js";
import { html, useRef, useState } from "../vdom.js";
import { say } from "./saying.js";

export default function Prompt({ route }) {
  const { tell } = useHouse();
  const { personas, styles } = useVocabulary();
  const [typed, setTyped] = useState({ persona: route.asked.get("persona") ?? "", scene: "", style: "", negative: "" });
  const [found, setFound] = useState(null);
  const [words, setWords] = useState("");
  const [trouble, setTrouble] = useState(null);
  const [order, setOrder] = useState(null);
  const [doing, act] = useDoing(tell);
  const scene = useRef(null);
  const prompt = useRef(null);
  const field = (name) => ({ value: typed[name], change: (value) => setTyped((now) => ({ ...now, [name]: value })) });
  const persona = typed.persona || personas[0]?.slug || "";
  const wanted = () => ({ persona, scene: typed.scene, negative: typed.negative, ...(typed.style ? { style: typed.style } : {}) });
  const ask = (more) =>
    act(async () => {
      setTrouble(null);
      try {
        const built = await post("/prompts", { ...wanted(), ...more });
        setFound(built);
        setWords(built.positive);
      } catch (error) {
        setTrouble(error);
      }
    });
  const build = (event) => {
    event.preventDefault();
    ask({});
  };
  const render = () =>
    act(async () => {
      setTrouble(null);
      try {
        setOrder(await post("/jobs", { ...wanted(), prompt: words, seed: found.seed, key: newKey() }));
      } catch (error) {
        setTrouble(error);
      }
    });
  return html`
    <${Page} title=${say("place_prompt")}>
      <div class="halves">
        <${Card} title=${say("what_is_wanted")}>
          <form class="form" onSubmit=${build}>
            <div class="form-row">
              <${Choice} label=${say("persona")} value=${persona} change=${field("persona").change} choices=${choicesOf(personas, "").slice(1)} />
              <${Choice} label=${say("style")} choices=${choicesOf(styles, say("as_usual"))} ...${field("style")} />
            </div>
            <${Field} label=${say("scene")} hint=${say("scene_of_picture")} rows="4" maxlength="2000" inner=${scene} ...${field("scene")} />
            <${Weights} field=${scene} change=${field("scene").change} />
            <${Field} label=${say("negative")} rows="2" maxlength="2000" ...${field("negative")} />
            <div class="form-end"><${Button} type="submit" kind=${found ? "plain" : "good"} icon="pen" busy=${doing}>${say("write_prompt")}<//></div>
          </form>
        <//>
        <${Card} title=${say("the_prompt")} actions=${found && html`<${Copied} text=${words} label=${say("copy_prompt")} />`}>
          <${Problem} trouble=${trouble} />
          ${!found && html`<p class="soft">${say("no_prompt_yet")}</p>`}
          ${found &&
          html`
            <div class="form">
              <${Field} label=${say("prompt_words")} rows="9" maxlength="8000" inner=${prompt} value=${words} change=${setWords} />
              <${Weights} field=${prompt} change=${setWords} />
              <${Looked} found=${found} stale=${words !== found.positive} />
              <div class="form-end">
                <${Button} busy=${doing} disabled=${words === found.positive} onClick=${() => ask({ prompt: words, seed: found.seed })}>${say("count_again")}<//>
                <${Button} kind="good" icon="picture" busy=${doing} onClick=${render}>${say("render")}<//>
              </div>
            </div>
          `}
          <${Made} order=${order} />
        <//>
      </div>
    <//>
  `;
}
