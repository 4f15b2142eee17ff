// The talks that there are, the latest first, and the way to a new one.

import { get } from "../api.js";
import { useHouse } from "../house.js";
import { plainWords } from "../markdown.js";
import { go, hrefTo } from "../router.js";
import { Button } from "../ui/button.js";
import { Face } from "../ui/face.js";
import { Problem } from "../ui/problem.js";
import { html, useCallback, useEffect, useRef, useState } from "../vdom.js";
import { ago, say } from "../words.js";

/** The talks as they are now. */
export async function theTalks(signal) {
  const { items } = await get("/talks", { signal });
  return items.filter((one) => !isTest(one));
}

/** The talks as the house has them; they are asked for again when the connection comes back, and by `again`. */
export function useTalks() {
  const { live } = useHouse();
  const [found, setFound] = useState({ items: [], loading: true, trouble: null });
  const asking = useRef(null);
  const again = useCallback(async () => {
    asking.current?.abort();
    const mine = new AbortController();
    asking.current = mine;
    try {
      const items = await theTalks(mine.signal);
      if (!mine.signal.aborted) setFound({ items, loading: false, trouble: null });
    } catch (trouble) {
      if (!mine.signal.aborted) setFound((now) => ({ ...now, loading: false, trouble }));
    }
  }, []);
  useEffect(() => {
    again();
    const leave = live.look((state) => state === "open" && again());
    return () => {
      leave();
      asking.current?.abort();
    };
  }, [again, live]);
  return { ...found, again };
}

/** The talk beside somebody's editor is found there, and nowhere else. */
const isTest = ({ chat, persona }) => chat === `test-${persona?.slug}`;

export function Talks({ talks, current, begin }) {
  return html`
    <aside class="talks" aria-label=${say("talks")}>
      <header class="talks-head">
        <h2>${say("talks")}</h2>
        <${Button} icon="plus" label=${say("new_talk")} onClick=${begin} />
      </header>
      <${Problem} trouble=${talks.trouble} again=${talks.again} />
      <ul class="talks-list">
        ${talks.items.map(
          (one) => html`
            <li key=${one.chat}>
              <a class="talks-one" href=${hrefTo("chat", one.chat)} aria-current=${one.chat === current ? "page" : undefined}>
                <${Face} slug=${one.persona?.slug} name=${one.persona?.name ?? one.chat} />
                <span class="talks-words">
                  <span class="talks-name"><strong>${one.persona?.name ?? one.chat}</strong>${one.when && html`<time datetime=${one.when}>${ago(one.when)}</time>`}</span>
                  <span class="talks-last">${plainWords(one.last ?? "")}</span>
                </span>
              </a>
            </li>
          `,
        )}
      </ul>
    </aside>
  `;
}

export function goToTalk(chat) {
  go(hrefTo("chat", chat));
}
