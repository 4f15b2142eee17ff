// Somebody to be edited, and beside it a talk with them as they are: what is saved is tried out at once.

import { get, part, post, put as send } from "../api.js";
import { Conversation } from "../chat/conversation.js";
import { useHouse } from "../house.js";
import { inThisTab } from "../kept.js";
import { useDoing } from "../ui/asked.js";
import { Button } from "../ui/button.js";
import { Card } from "../ui/card.js";
import { choicesOf, useVocabulary } from "../ui/choosing.js";
import { Waiting } from "../ui/empty.js";
import { Choice, Field } from "../ui/field.js";
import { Problem } from "../ui/problem.js";
import { html, useEffect, useState } from "../vdom.js";
import { say } from "../views/saying.js";
import { asTyped, asValue, FIELDS, valueAt, withValue } from "./fields.js";

const ROWS = { words: 4, lines: 3, paragraphs: 5 };
const RATINGS = ["all-ages", "mature", "adult"];
const NOT_THEIRS = () => {};

export function Edit({ page, put, again }) {
  const { tell } = useHouse();
  const { styles } = useVocabulary();
  const kept = `editing.${page.persona.slug}`;
  const [typed, setTyped] = useState(() => JSON.parse(inThisTab.get(kept) || "{}"));
  const [trouble, setTrouble] = useState(null);
  const [doing, act] = useDoing(tell);
  const changed = Object.keys(typed).length > 0;
  // Whoever looks at something else meanwhile finds it as they left it.
  useEffect(() => inThisTab.set(kept, changed ? JSON.stringify(typed) : ""), [typed]);
  const save = (event) => {
    event.preventDefault();
    let persona = page.persona;
    for (const { path, kind } of FIELDS.flatMap(({ fields }) => fields)) {
      if (path in typed) persona = withValue(persona, path, asValue(typed[path], kind));
    }
    setTrouble(null);
    act(async () => {
      try {
        put(await send(`/personas/${part(page.persona.slug)}`, { persona, revision: page.revision }));
        setTyped({});
        tell(say("saved"), "good");
      } catch (error) {
        setTrouble(error);
      }
    });
  };
  const field = ({ path, kind }) => ({
    label: say(`field_${path.replaceAll(".", "_")}`),
    value: typed[path] ?? asTyped(valueAt(page.persona, path), kind),
    change: (value) => setTyped((now) => ({ ...now, [path]: value })),
  });
  return html`
    <div class="beside">
      <form class="form" onSubmit=${save} aria-label=${say("tab_edit")}>
        ${FIELDS.map(
          ({ group, fields }) => html`
            <${Card} key=${group} title=${say(`group_${group}`)}>
              <div class="form">${fields.map((one) => html`<${Input} key=${one.path} kind=${one.kind} styles=${styles} ...${field(one)} />`)}</div>
            <//>
          `,
        )}
        <div class="form-end form-stays">
          <${Problem} trouble=${trouble} again=${trouble?.status === 409 ? again : undefined} />
          ${changed && html`<${Button} kind="quiet" onClick=${() => setTyped({})}>${say("leave_as_it_was")}<//>`}
          <${Button} type="submit" kind="good" busy=${doing} disabled=${!changed}>${say("save")}<//>
        </div>
      </form>
      <${TestTalk} slug=${page.persona.slug} />
    </div>
  `;
}

function Input({ kind, styles, ...field }) {
  if (kind === "rating") return html`<${Choice} ...${field} choices=${RATINGS.map((one) => [one, say(`rating_${one.replace("-", "_")}`)])} />`;
  if (kind === "style") {
    const named = choicesOf(styles, "").slice(1);
    // A style that is no more is still theirs until they take another one.
    const there = named.some(([one]) => one === field.value) ? named : [[field.value, field.value], ...named];
    return html`<${Choice} ...${field} choices=${there} />`;
  }
  if (kind === "number") return html`<${Field} ...${field} type="number" min="0" max="10000" inputmode="numeric" />`;
  const hint = { lines: say("one_a_line"), paragraphs: say("blank_lines_between") }[kind];
  return html`<${Field} ...${field} rows=${ROWS[kind]} hint=${hint} />`;
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
