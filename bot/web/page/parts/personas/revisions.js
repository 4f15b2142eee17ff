// Who somebody was: every change of them, what it changed, and the way back.

import { get, part, post, query } from "../api.js";
import { useHouse } from "../house.js";
import { useAsked, useDoing } from "../ui/asked.js";
import { Button } from "../ui/button.js";
import { Card } from "../ui/card.js";
import { Sure } from "../ui/dialog.js";
import { Waiting } from "../ui/empty.js";
import { Pager, usePages } from "../ui/pager.js";
import { Problem } from "../ui/problem.js";
import { html, useState } from "../vdom.js";
import { moment, say } from "../views/saying.js";
import { differences } from "./fields.js";

export function Revisions({ page, put, mayChange }) {
  const path = `/personas/${part(page.persona.slug)}/revisions`;
  const pages = usePages((before, signal) => get(`${path}${query({ before, limit: 50 })}`, { signal }), [path, page.revision]);
  return html`
    <${Card} title=${say("tab_revisions")}>
      <ul class="rows">
        ${pages.items.map((one) => html`<${Revision} key=${one.number} revision=${one} path=${path} page=${page} put=${put} mayChange=${mayChange} />`)}
      </ul>
      <${Pager} pages=${pages} />
    <//>
  `;
}

function Revision({ revision, path, page, put, mayChange }) {
  const { tell } = useHouse();
  const [doing, act] = useDoing(tell);
  const [open, setOpen] = useState(false);
  const [sure, ask] = useState(false);
  const back = () =>
    act(async () => {
      ask(false);
      put(await post(`${path}/${revision.number}/restore`, { revision: page.revision }));
      tell(say("rolled_back", { n: revision.number }), "good");
    });
  return html`
    <li class="row" data-revision=${revision.number}>
      <div class="row-words">
        <p class="row-title">${say("revision_n", { n: revision.number })}${revision.current && html` <span class="mark">${say("current")}</span>`}</p>
        <p class="row-small">${[revision.name, revision.note, moment(revision.created_at)].filter(Boolean).join(" · ")}</p>
        ${open && html`<${Differences} path=${path} number=${revision.number} page=${page} />`}
      </div>
      ${!revision.current &&
      html`
        <div class="row-actions">
          <${Button} aria-expanded=${open ? "true" : "false"} onClick=${() => setOpen(!open)}>${open ? say("close") : say("differences")}<//>
          ${mayChange && html`<${Button} busy=${doing} onClick=${() => ask(true)}>${say("roll_back")}<//>`}
        </div>
      `}
      ${sure && html`<${Sure} kind="good" title=${say("sure_roll_back", { n: revision.number })} yes=${say("roll_back")} act=${back} close=${() => ask(false)}>${say("sure_roll_back_more")}<//>`}
    </li>
  `;
}

/** What was otherwise then than it is now. */
function Differences({ path, number, page }) {
  const old = useAsked((signal) => get(`${path}/${number}`, { signal }), [path, number]);
  if (!old.found) return old.trouble ? html`<${Problem} trouble=${old.trouble} again=${old.again} />` : html`<${Waiting} label=${say("loading")} />`;
  const found = differences(old.found.persona, page.persona);
  if (found.length === 0) return html`<p class="soft">${say("no_differences")}</p>`;
  return html`
    <dl class="differences">
      ${found.map(
        ({ path: where, before, after }) => html`
          <div key=${where}>
            <dt>${where}</dt>
            ${before && html`<dd><del><span class="unseen">${say("it_was")} </span>${before}</del></dd>`}
            ${after && html`<dd><ins><span class="unseen">${say("it_is")} </span>${after}</ins></dd>`}
          </div>
        `,
      )}
    </dl>
  `;
}
