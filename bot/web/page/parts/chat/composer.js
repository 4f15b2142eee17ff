// Where one writes. Enter sends, with Shift it breaks the line; while a word is still being put together (an input
// method is open) Enter belongs to that. A line that begins with `/` is completed.

import { useTyped } from "../kept.js";
import { Button } from "../ui/button.js";
import { Icon } from "../ui/icon.js";
import { html, useEffect, useLayoutEffect, useRef } from "../vdom.js";
import { say } from "../words.js";
import { Suggestions, useSuggestions } from "./completing.js";

/** `eager`: somebody has just come in to say something; null: they are busy elsewhere on the page. */
export function Composer({ talk, eager }) {
  const field = useRef(null);
  const [text, setText] = useTyped(`writing.${talk.chat}`);
  const suggested = useSuggestions(talk, text);

  useLayoutEffect(() => {
    // At once, for in a moment somebody may be busy elsewhere. On a phone the keyboard would cover what one came to read.
    const nobodyElse = eager || (eager !== null && document.activeElement === document.body);
    if (nobodyElse && matchMedia("(pointer: fine)").matches) field.current.focus();
  }, []);
  useLayoutEffect(() => {
    const { style } = field.current;
    style.height = "auto";
    style.height = `${field.current.scrollHeight}px`;
  }, [text]);

  useEffect(() => {
    const { offered } = talk;
    if (!offered) return;
    talk.offered = null; // once: it does not come over what is written here later
    // What stands there already comes back by undoing.
    const { current } = field;
    current.focus();
    current.select();
    if (!document.execCommand("insertText", false, offered.text)) setText(offered.text);
    current.setSelectionRange(current.value.length, current.value.length);
  }, [talk.offered]);

  const send = () => {
    if (!text.trim()) return;
    talk.say(text.trim());
    setText("");
    field.current.focus();
  };
  const complete = (one) => {
    setText(one.line);
    field.current.focus();
  };
  const pressed = (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (suggested.keys(event, complete)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    } else if (event.key === "Escape" && talk.writing) {
      talk.stop();
    }
  };
  return html`
    <form
      class="composer"
      onSubmit=${(event) => {
        event.preventDefault();
        send();
      }}
    >
      <${Suggestions} suggested=${suggested} choose=${complete} />
      <div class="composer-sheet">
        <textarea
          ref=${field}
          rows="1"
          value=${text}
          placeholder=${talk.persona ? say("write_to", { name: talk.persona.called ?? talk.persona.name }) : say("write")}
          aria-label=${talk.persona ? say("write_to", { name: talk.persona.called ?? talk.persona.name }) : say("write")}
          aria-describedby="composer-hint"
          ...${suggested.aria}
          onInput=${(event) => setText(event.target.value)}
          onKeyDown=${pressed}
          onBlur=${suggested.close}
        ></textarea>
        ${talk.writing && html`<${Button} kind="danger" icon="stop" label=${say("stop")} onClick=${() => talk.stop()} />`}
        <button class="button button-good button-bare" type="submit" aria-label=${say("send")} title=${say("send")} disabled=${!text.trim()}><${Icon} name="send" /></button>
      </div>
      <p id="composer-hint" class="composer-hint">${say("composer_hint")}</p>
    </form>
  `;
}

