// Where the messages stand: it stays at the bottom if it was there, and where somebody reads else, also while older
// messages come in above.

import { Button } from "../ui/button.js";
import { Waiting } from "../ui/empty.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../vdom.js";
import { day, say } from "../words.js";
import { Draft, Message, Own } from "./message.js";

/** So near to the bottom is at the bottom, and so near to the top asks for older messages. */
const NEAR = 48;
const EARLY = 300;
/** Messages of one hand within so many milliseconds stand together. */
const TOGETHER = 5 * 60_000;

export function Log({ talk, press, look }) {
  const box = useRef(null);
  const inside = useRef(null);
  const atBottom = useRef(true);
  /** Where it was scrolled to when that was seen last. */
  const top = useRef(0);
  const [below, setBelow] = useState(false);
  const lines = talk.lines;
  const first = lines[0]?.id;
  const last = lines.at(-1);
  const before = useRef({ first, height: 0, own: 0, last: last?.id });

  const toBottom = () => {
    box.current.scrollTop = box.current.scrollHeight;
    top.current = box.current.scrollTop;
    atBottom.current = true;
    setBelow(false);
  };
  /** Somebody may have scrolled up a moment ago, and the browser has not told it yet. */
  const stays = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    return atBottom.current && scrollTop >= Math.min(top.current, scrollHeight - clientHeight) - NEAR;
  };
  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    top.current = scrollTop;
    atBottom.current = scrollHeight - scrollTop - clientHeight < NEAR;
    if (atBottom.current) setBelow(false);
    if (scrollTop < EARLY && talk.older) talk.loadOlder();
  };

  useLayoutEffect(() => {
    const now = box.current;
    const was = before.current;
    const wroteHere = talk.own.length > was.own;
    if (first !== was.first && was.first !== undefined && first < was.first) {
      now.scrollTop += now.scrollHeight - was.height; // older ones came in above
    } else if (stays() || wroteHere) {
      toBottom();
    } else if (last?.id !== was.last) {
      setBelow(true);
    }
    before.current = { first, height: now.scrollHeight, own: talk.own.length, last: last?.id };
  });
  useEffect(() => {
    // Pictures that come, a keyboard that opens on a phone: whoever is at the bottom stays there.
    const watcher = new ResizeObserver(() => {
      if (stays()) toBottom();
      before.current.height = box.current.scrollHeight;
    });
    watcher.observe(inside.current);
    watcher.observe(box.current);
    return () => watcher.disconnect();
  }, []);

  return html`
    <div class="log-frame">
      <div class="log" ref=${box} onScroll=${scrolled} tabindex="0" role="log" aria-live="off" aria-label=${say("messages")}>
        <div class="log-inside" ref=${inside}>
          ${talk.olderLoading && html`<${Waiting} label=${say("loading")} />`}
          ${talk.older && !talk.olderLoading && html`<div class="log-older"><${Button} kind="quiet" onClick=${() => talk.loadOlder()}>${say("older")}<//></div>`}
          <ul class="messages">
            ${withDays(lines).flatMap(([one, previous, newDay]) => [
              newDay && html`<li class="log-day" key=${`day-${one.id}`}><span>${day(one.created_at)}</span></li>`,
              html`
                <${Message}
                  key=${one.id}
                  message=${one}
                  follows=${!newDay && together(previous, one)}
                  step=${one.job ? talk.steps.get(one.job) : undefined}
                  press=${press}
                  look=${look}
                  react=${(emoji, added) => talk.react(one, emoji, added)}
                  edit=${one === last && one.question?.prefill && talk.own.length === 0 ? () => talk.offer(one) : undefined}
                  again=${one === last && one.by === "persona" && one.turn && !talk.writing && talk.own.length === 0 ? () => talk.say("/regenerate") : undefined}
                />
              `,
            ])}
            ${[...talk.drafts.values()].map((draft) => html`<${Draft} key=${`draft-${draft.turn}`} draft=${draft} />`)}
            ${talk.own.map((own) => html`<${Own} key=${own.key} own=${own} again=${() => talk.send(own)} withdraw=${() => talk.withdraw(own.key)} />`)}
            ${talk.told.map(
              (one) => html`
                <li class="told" key=${one.id}>
                  <p>${one.text}</p>
                  <${Button} kind="quiet" icon="close" label=${say("close")} onClick=${() => talk.forgetTold(one.id)} />
                </li>
              `,
            )}
          </ul>
        </div>
      </div>
      ${below && html`<${Button} class="log-below" icon="down" onClick=${toBottom}>${say("newer")}<//>`}
    </div>
  `;
}

function withDays(lines) {
  return lines.map((one, place) => {
    const previous = lines[place - 1];
    return [one, previous, !previous || dateOf(previous) !== dateOf(one)];
  });
}

function dateOf(message) {
  return new Date(message.created_at).toDateString();
}

function together(previous, one) {
  return (
    previous !== undefined &&
    previous.by === one.by &&
    previous.slug === one.slug &&
    previous.source === one.source &&
    new Date(one.created_at) - new Date(previous.created_at) < TOGETHER
  );
}
