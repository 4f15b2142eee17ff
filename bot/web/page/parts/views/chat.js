// Talking with personas: the list of talks, and the one that is open. On a phone it is one or the other.

import { ChooseWhom } from "../chat/cast.js";
import { Conversation, Welcome } from "../chat/conversation.js";
import { goToTalk, Talks, useTalks } from "../chat/talks.js";
import { hrefTo } from "../router.js";
import { Waiting } from "../ui/empty.js";
import { html, useCallback, useEffect, useState } from "../vdom.js";
import { say } from "../words.js";

export default function Chat({ route }) {
  const talks = useTalks();
  const [choosing, choose] = useState(false);
  const [entered, enter] = useState("");
  const chat = route.rest[0];
  const latest = talks.items[0]?.chat;
  useEffect(() => {
    // A wide page shows the latest talk beside the list; a phone shows the list first.
    if (!chat && latest && matchMedia("(width >= 48rem)").matches) location.replace(hrefTo("chat", latest));
  }, [chat, latest]);
  const begin = useCallback(() => choose(true), []);
  const begun = (where) => {
    choose(false);
    talks.again();
    enter(where);
    goToTalk(where);
  };
  return html`
    <h1 class="unseen">${say("place_chat")}</h1>
    <div class="chat ${chat ? "chat-open" : ""}">
      <${Talks} talks=${talks} current=${chat} begin=${begin} />
      ${chat
        ? html`<${Conversation} key=${chat} chat=${chat} begin=${begin} spoken=${talks.again} eager=${chat === entered} />`
        : html`<section class="conversation">${talks.loading ? html`<${Waiting} label=${say("loading")} />` : html`<${Welcome} begin=${begin} />`}</section>`}
      ${choosing && html`<${ChooseWhom} begun=${begun} close=${() => choose(false)} />`}
    </div>
  `;
}
