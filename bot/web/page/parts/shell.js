// Around every view: the navigation, the bar that says when the house does not answer, and words in passing.

import { get, post, SIGNED_OUT } from "./api.js";
import { House } from "./house.js";
import { PLACES } from "./places.js";
import { hrefTo, useRoute } from "./router.js";
import { ThemeSwitch } from "./theme.js";
import { Button } from "./ui/button.js";
import { Empty, Waiting } from "./ui/empty.js";
import { Icon } from "./ui/icon.js";
import { Problem } from "./ui/problem.js";
import { Toasts, useToasts } from "./ui/toast.js";
import { html, useEffect, useErrorBoundary, useMemo, useRef, useState } from "./vdom.js";
import { say } from "./words.js";

/** A connection that comes back within so many milliseconds was never worth a word. */
const PATIENCE = 800;

export function Shell({ live }) {
  const route = useRoute();
  const { toasts, tell, dismiss } = useToasts();
  const [menu, setMenu] = useState(false);
  const main = useRef(null);
  const place = PLACES.find((one) => one.name === route.place);
  const [me, asked] = useMe(live);
  const house = useMemo(() => ({ live, me, tell }), [live, me]);
  const open = PLACES.filter((one) => one.icon && allowed(me, one));
  const home = hrefTo(open[0]?.name ?? "chat");
  const here = [route.place, ...route.rest].join("/");
  const came = useRef(here);

  useEffect(() => {
    // Whoever names no place comes to the first that they may see.
    if (asked && !location.hash && place && !allowed(me, place)) location.replace(home);
  }, [asked]);
  useEffect(() => setMenu(false), [here]);
  useEffect(() => {
    document.title = place ? `${say(`place_${place.name}`)} · Greenroom` : "Greenroom";
    // Whoever goes somewhere else by keyboard goes on there; the first view takes nobody's focus.
    if (came.current.split("/")[0] !== route.place) main.current?.focus();
    came.current = here;
  }, [here]);
  const skip = (event) => {
    event.preventDefault();
    main.current?.focus();
  };

  return html`
    <${House.Provider} value=${house}>
      <a class="skip" href="#main" onClick=${skip}>${say("skip")}</a>
      <div class="shell shell-at-${route.place}">
        <header class="rail">
          <a class="brand" href=${home}><span>Greenroom</span></a>
          <${Button} kind="rail" class="rail-menu" icon=${menu ? "close" : "menu"} label=${say("menu")} aria-expanded=${menu ? "true" : "false"} aria-controls="navigation" onClick=${() => setMenu(!menu)} />
          <div id="navigation" class="rail-inside ${menu ? "rail-open" : ""}">
            <nav aria-label=${say("navigation")}>
              <ul>
                ${open.map((one) => html`<${Place} key=${one.name} ...${one} current=${one.name === route.place} />`)}
              </ul>
            </nav>
            <div class="rail-foot">
              <${ThemeSwitch} />
              <${SignOut} me=${me} tell=${tell} />
            </div>
          </div>
        </header>
        <${Connection} live=${live} />
        <main id="main" tabindex="-1" ref=${main}>
          ${!place
            ? html`<${Nowhere} home=${home} />`
            : allowed(me, place)
              ? html`<${View} key=${place.name} load=${place.load} route=${route} ready=${asked} />`
              : html`<${NotAllowed} me=${me} place=${place} home=${home} />`}
        </main>
      </div>
      <${Toasts} toasts=${toasts} dismiss=${dismiss} />
    <//>
  `;
}

function Place({ name, icon, current }) {
  return html`
    <li>
      <a href=${hrefTo(name)} class="rail-place" aria-current=${current ? "page" : undefined}><${Icon} name=${icon} /><span>${say(`place_${name}`)}</span></a>
    </li>
  `;
}

/** Who is here, and whether it is known by now; asked once more whenever the connection comes back. */
function useMe(live) {
  const [me, know] = useState(null);
  const [asked, setAsked] = useState(false);
  useEffect(() => {
    const ask = () => get("/me").then(know, () => {}).then(() => setAsked(true));
    ask();
    let opened = false;
    return live.look((state) => {
      if (state === "open" && opened) ask();
      opened ||= state === "open";
    });
  }, [live]);
  return [me, asked];
}

/** Where the house does not say who is here, nobody is kept from anything: it decides anyway. */
function allowed(me, place) {
  return !me || !place.needs || [place.needs].flat().some((scope) => me.scopes.includes(scope));
}

/** Where nobody had to sign in, nobody signs out. */
function SignOut({ me, tell }) {
  if (!me?.signed_in || !(me.password || me.kind === "key")) return null;
  const out = () => post("/sign-out").then(() => location.assign("/"), (trouble) => tell(trouble.message, "trouble"));
  return html`<${Button} kind="quiet" class="rail-button" icon="out" onClick=${out}>${say("sign_out")}<//>`;
}

/** `ready`: it is known who is here, and that they may see it. Until then it is only brought. */
function View({ load, route, ready }) {
  const [shown, setShown] = useState({});
  const [broken, mend] = useErrorBoundary((error) => console.error(error));
  const bring = () => {
    setShown({});
    load().then(
      (module) => setShown({ view: module.default }),
      () => setShown({ trouble: new Error(say("no_answer")) }),
    );
  };
  useEffect(bring, []);
  if (broken) return html`<${Problem} trouble=${new Error(say("view_broken"))} again=${mend} />`;
  if (shown.trouble) return html`<${Problem} trouble=${shown.trouble} again=${bring} />`;
  if (!shown.view || !ready) return html`<${Waiting} label=${say("loading")} />`;
  return html`<${shown.view} route=${route} />`;
}

function Nowhere({ home }) {
  return html`<${Empty} icon="search" title=${say("nowhere")}><${Button} kind="good" href=${home}>${say("to_the_page")}<//><//>`;
}

function NotAllowed({ me, place, home }) {
  return html`
    <${Empty} icon="search" title=${say("not_allowed", { name: me.name })}>
      <p>${say("not_allowed_more", { scope: [place.needs].flat().join(" / "), scopes: me.scopes.join(", ") })}</p>
      <${Button} kind="good" href=${home}>${say("to_the_page")}<//>
    <//>
  `;
}

function Connection({ live }) {
  const [lost, setLost] = useState(false);
  const [out, setOut] = useState(false);
  useEffect(() => {
    let timer = 0;
    const signedOut = () => setOut(true);
    const missed = () => {
      setLost(true);
      // A browser is not told why a socket was refused: perhaps the house is there, and knows it no more.
      get("/me").catch(() => {});
    };
    const leave = live.look((state) => {
      clearTimeout(timer);
      if (state === "lost") timer = setTimeout(missed, PATIENCE);
      else if (state === "open") setLost(false);
    });
    addEventListener(SIGNED_OUT, signedOut);
    return () => {
      leave();
      clearTimeout(timer);
      removeEventListener(SIGNED_OUT, signedOut);
    };
  }, [live]);
  const words = out
    ? html`<p>${say("signed_out")}</p><${Button} onClick=${() => location.reload()}>${say("sign_in")}<//>`
    : lost && html`<p>${say("offline")}</p>`;
  return html`<div class="connection ${words ? "connection-lost" : ""}" role="status">${words}</div>`;
}
