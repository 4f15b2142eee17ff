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
  const [me, know] = useState(null);
  const house = useMemo(() => ({ live, me, tell }), [live, me]);
  const here = [route.place, ...route.rest].join("/");
  const came = useRef(here);

  useEffect(() => live.look((state) => state === "open" && get("/me").then(know, () => {})), [live]);
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
          <a class="brand" href="#/chat"><span>Greenroom</span></a>
          <${Button} kind="rail" class="rail-menu" icon=${menu ? "close" : "menu"} label=${say("menu")} aria-expanded=${menu ? "true" : "false"} aria-controls="navigation" onClick=${() => setMenu(!menu)} />
          <div id="navigation" class="rail-inside ${menu ? "rail-open" : ""}">
            <nav aria-label=${say("navigation")}>
              <ul>
                ${PLACES.filter((one) => one.icon && allowed(me, one)).map((one) => html`<${Place} key=${one.name} ...${one} current=${one.name === route.place} />`)}
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
          ${place ? html`<${View} key=${place.name} load=${place.load} route=${route} />` : html`<${Nowhere} />`}
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

/** Before it is known who is here, nobody is kept from anything: the house decides anyway. */
function allowed(me, place) {
  return !me || !place.needs || me.scopes.includes(place.needs);
}

/** Where nobody had to sign in, nobody signs out. */
function SignOut({ me, tell }) {
  if (!me?.signed_in || !(me.password || me.kind === "key")) return null;
  const out = () => post("/sign-out").then(() => location.assign("/"), (trouble) => tell(trouble.message, "trouble"));
  return html`<${Button} kind="quiet" class="rail-button" icon="out" onClick=${out}>${say("sign_out")}<//>`;
}

function View({ load, route }) {
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
  if (!shown.view) return html`<${Waiting} label=${say("loading")} />`;
  return html`<${shown.view} route=${route} />`;
}

function Nowhere() {
  return html`<${Empty} icon="search" title=${say("nowhere")}><${Button} kind="good" href="#/chat">${say("place_chat")}<//><//>`;
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
