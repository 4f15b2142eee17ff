// Somebody to be edited, and beside it a talk with them as they are: what is saved is tried out at once.

import { get, part, post, put as send } from "../api.js";
import { Conversation } from "../chat/conversation.js";
import { useHouse } from "../house.js";
import { useTyped } from "../kept.js";
import { useDoing } from "../ui/asked.js";
import { Button } from "../ui/button.js";
import { Card } from "../ui/card.js";
import { useVocabulary } from "../ui/choosing.js";
import { Sure } from "../ui/dialog.js";
import { Waiting } from "../ui/empty.js";
import { Problem } from "../ui/problem.js";
import { html, useEffect, useRef, useState } from "../vdom.js";
import { FIELDS, nameOf, valueAt, withValue } from "./fields.js";
import { Input } from "./input.js";
import { asTyped, asValue, isSame } from "./kinds.js";
import { placed } from "./troubles.js";
import { useUnsaved } from "./unsaved.js";
import { say } from "./saying.js";

const ALL = FIELDS.flatMap(({ fields }) => fields);
const NOT_THEIRS = () => {};
const KEPT = {
  read: (kept) => JSON.parse(kept || "{}"),
  written: (typed) => (Object.keys(typed).length > 0 ? JSON.stringify(typed) : ""),
};

export function Edit({ page, put, again }) {
  const { tell } = useHouse();
  const { styles } = useVocabulary();
  // Whoever looks at something else meanwhile finds it as they left it.
  const [typed, setTyped] = useTyped(`editing.${page.persona.slug}`, KEPT);
  const [trouble, setTrouble] = useState(null);
  const [sure, ask] = useState(false);
  const [doing, act] = useDoing(tell);
  const form = useRef(null);
  const changed = Object.keys(typed).length > 0;
  useUnsaved(changed);
  // Once for each answer: whoever mends one field after the other stays where they are.
  useEffect(() => form.current?.querySelector("[aria-invalid], [data-trouble]")?.focus(), [trouble?.said]);
  const save = (event) => {
    event.preventDefault();
    const sent = typed;
    let persona = page.persona;
    for (const { path, kind } of ALL) if (path in sent) persona = withValue(persona, path, asValue(sent[path], kind));
    setTrouble(null);
    act(async () => {
      try {
        put(await send(`/personas/${part(page.persona.slug)}`, { persona, revision: page.revision }));
        // What was typed meanwhile is not saved yet.
        setTyped((now) => Object.fromEntries(Object.entries(now).filter(([path, value]) => value !== sent[path])));
        tell(say("saved"), "good");
      } catch (error) {
        setTrouble(placed(error, ALL));
      }
    });
  };
  const leave = () => {
    ask(false);
    setTrouble(null);
    setTyped({});
  };
  const field = ({ path, kind }) => {
    const found = asTyped(valueAt(page.persona, path), kind);
    return {
      label: say(`field_${nameOf(path)}`),
      value: typed[path] ?? found,
      trouble: trouble?.at[path],
      change: (value) => {
        setTyped(({ [path]: _before, ...others }) => (isSame(value, found) ? others : { ...others, [path]: value }));
        if (trouble?.at[path]) setTrouble({ ...trouble, at: { ...trouble.at, [path]: undefined } });
      },
    };
  };
  return html`
    <div class="beside">
      <form class="form" ref=${form} onSubmit=${save} aria-label=${say("tab_edit")}>
        <${Groups} form=${form} />
        ${FIELDS.map(
          ({ group, fields }) => html`
            <${Card} key=${group} title=${say(`group_${group}`)} class=${`part-${group}`}>
              ${group === "sampling" && html`<p class="hint card-hint">${say("sampling_hint")}</p>`}
              <div class="form ${group === "sampling" ? "form-numbers" : ""}">${fields.map((one) => html`<${Input} key=${one.path} ...${one} styles=${styles} ...${field(one)} />`)}</div>
            <//>
          `,
        )}
        <div class="form-end form-stays">
          <${Problem} trouble=${trouble?.said} again=${trouble?.status === 409 ? again : undefined} />
          ${changed && html`<p class="soft unsaved" role="status">${say("unsaved")}</p>`}
          ${changed && html`<${Button} kind="quiet" onClick=${() => ask(true)}>${say("leave_as_it_was")}<//>`}
          <${Button} type="submit" kind="good" busy=${doing} disabled=${!changed}>${say("save")}<//>
        </div>
      </form>
      <${TestTalk} slug=${page.persona.slug} />
    </div>
    ${sure && html`<${Sure} title=${say("sure_leave")} yes=${say("leave_as_it_was")} act=${leave} close=${() => ask(false)}>${say("sure_leave_more")}<//>`}
  `;
}

/** The way to a part of a long form. */
function Groups({ form }) {
  const to = (group) => {
    const card = form.current.querySelector(`.part-${group}`);
    card.scrollIntoView({ block: "start" });
    card.querySelector("input, select, textarea, button")?.focus({ preventScroll: true });
  };
  return html`
    <nav class="form-parts" aria-label=${say("parts_of_form")}>
      ${FIELDS.map(({ group }) => html`<${Button} key=${group} class="form-part" onClick=${() => to(group)}>${say(`group_${group}`)}<//>`)}
    </nav>
  `;
}

function TestTalk({ slug }) {
  const [chat, setChat] = useState(null);
  const [trouble, setTrouble] = useState(null);
  useEffect(() => {
    let there = true;
    const name = `test-${slug}`;
    // It goes on where it was; only the first time it has to be begun.
    const begin = async () => {
      const { persona } = await get(`/talks/${part(name)}`);
      if (persona?.slug !== slug) await post("/talks", { persona: slug, chat: name });
      if (there) setChat(name);
    };
    begin().catch((error) => there && setTrouble(error));
    return () => {
      there = false;
    };
  }, [slug]);
  return html`
    <aside class="test-talk" aria-label=${say("test_talk")}>
      <h2>${say("test_talk")}</h2>
      <${Problem} trouble=${trouble} />
      ${!chat && !trouble && html`<${Waiting} label=${say("loading")} />`}
      ${chat && html`<${Conversation} key=${chat} chat=${chat} begin=${NOT_THEIRS} spoken=${NOT_THEIRS} eager=${null} />`}
    </aside>
  `;
}
