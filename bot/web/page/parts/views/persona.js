// Somebody of the cast: who they are and their pictures; an editor with a talk beside it to try it out; who they were.

import { get, part } from "../api.js";
import { useHouse } from "../house.js";
import { Edit } from "../personas/edit.js";
import { Profile } from "../personas/profile.js";
import { Revisions } from "../personas/revisions.js";
import { hrefTo } from "../router.js";
import { Waiting } from "../ui/empty.js";
import { useAsked } from "../ui/asked.js";
import { Page } from "../ui/page.js";
import { Problem } from "../ui/problem.js";
import { html } from "../vdom.js";
import { say } from "./saying.js";

export default function PersonaPage({ route }) {
  const { me } = useHouse();
  const [slug = "", wanted = "about"] = route.rest;
  const asked = useAsked((signal) => get(`/personas/${part(slug)}/page`, { signal }), [slug]);
  const { found, trouble, loading, again } = asked;
  const there = found?.persona.slug === slug ? found : null;
  const mayChange = !me || me.scopes.includes("manage");
  const tabs = ["about", ...(mayChange ? ["edit"] : []), "revisions"];
  const tab = tabs.includes(wanted) ? wanted : "about";
  const put = (written) => asked.set((now) => ({ ...now, ...written }));
  return html`
    <${Page} title=${there?.persona.name ?? slug} back=${{ href: "#/personas", label: say("place_personas") }}>
      <nav class="tabs" aria-label=${say("parts_of_page")}>
        ${tabs.map((one) => html`<a key=${one} href=${hrefTo("persona", slug, one)} aria-current=${one === tab ? "page" : undefined}>${say(`tab_${one}`)}</a>`)}
      </nav>
      <${Problem} trouble=${trouble} again=${again} />
      ${!there && loading && html`<${Waiting} label=${say("loading")} />`}
      ${there && tab === "edit" && html`<${Edit} key=${slug} page=${there} put=${put} again=${again} />`}
      ${there && tab === "revisions" && html`<${Revisions} key=${slug} page=${there} put=${put} mayChange=${mayChange} />`}
      ${there && tab === "about" && html`<${Profile} page=${there} mayChange=${mayChange} />`}
    <//>
  `;
}
