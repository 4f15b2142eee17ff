// Every sentence of the page, in English and in German, and how numbers and times are said. What the house says comes
// from the house.
//
// A word is `[English, German]`. `{name}` is filled in; `one|other` is chosen by the number `n`.

const WORDS = {
  // The shell
  place_chat: ["Chat", "Gespräche"],
  place_gallery: ["Gallery", "Galerie"],
  place_picture: ["Picture", "Bild"],
  place_queue: ["Queue", "Warteschlange"],
  place_backfill: ["Backfill", "Auffüllen"],
  place_posts: ["Posts", "Beiträge"],
  place_prompt: ["Prompt builder", "Prompt-Werkstatt"],
  place_personas: ["Personas", "Personas"],
  place_persona: ["Persona", "Persona"],
  place_models: ["Models", "Modelle"],
  place_health: ["Health", "Zustand"],
  navigation: ["Greenroom", "Greenroom"],
  menu: ["Menu", "Menü"],
  skip: ["To the content", "Zum Inhalt"],
  theme_system: ["Theme: system", "Farben: System"],
  theme_light: ["Theme: light", "Farben: hell"],
  theme_dark: ["Theme: dark", "Farben: dunkel"],
  offline: ["Greenroom does not answer; it is tried again.", "Greenroom antwortet nicht; es wird weiter versucht."],
  signed_out: ["You are signed out here.", "Du bist hier abgemeldet."],
  sign_in: ["Sign in", "Anmelden"],
  sign_out: ["Sign out", "Abmelden"],
  nowhere: ["There is nothing at this address.", "Unter dieser Adresse ist nichts."],
  not_allowed: ["{name} may not open this.", "{name} darf das nicht öffnen."],
  not_allowed_more: ["It takes a key with the scope “{scope}”; this one may: {scopes}.", "Es braucht einen Schlüssel mit der Befugnis „{scope}“; dieser darf: {scopes}."],
  to_the_page: ["To the page", "Zur Seite"],
  view_broken: ["This part of the page has broken. Its cause stands in the browser's console.", "Dieser Teil der Seite ist kaputtgegangen. Der Grund steht in der Konsole des Browsers."],

  // What every view says
  no_answer: ["Greenroom does not answer.", "Greenroom antwortet nicht."],
  went_wrong: ["That did not work (status {status}).", "Das ging nicht (Status {status})."],
  again_in: ["Again in one second.|Again in {n} seconds.", "Wieder in einer Sekunde.|Wieder in {n} Sekunden."],
  try_again: ["Try again", "Noch einmal versuchen"],
  loading: ["Loading …", "Lädt …"],
  more: ["More", "Mehr"],
  close: ["Close", "Schließen"],
  cancel: ["Cancel", "Abbrechen"],
  copy: ["Copy", "Kopieren"],
  copied: ["Copied", "Kopiert"],
  download: ["Download", "Herunterladen"],
  code: ["Code", "Code"],
  table: ["Table", "Tabelle"],
  spoiler: ["Hidden words: show them", "Verborgene Worte: zeigen"],
  picture_title: ["Picture {id}", "Bild {id}"],
  picture_alt: ["Picture {id}", "Bild {id}"],
  picture_n_of: ["{n} of {count}: {said}", "{n} von {count}: {said}"],
  picture_lost: ["This picture is no longer there.", "Dieses Bild ist nicht mehr da."],
  stand_in: ["Stand-in", "Platzhalter"],

  // Talks
  talks: ["Talks", "Gespräche"],
  talk: ["Talk", "Gespräch"],
  talk_with: ["Talk with {name}", "Gespräch mit {name}"],
  new_talk: ["New talk", "Neues Gespräch"],
  welcome: ["The greenroom is open.", "Der Greenroom ist offen."],
  welcome_more: ["Personas wait here until somebody talks to them. Choose one, and say something.", "Hier warten Personas, bis jemand mit ihnen spricht. Such dir eine aus und sag etwas."],
  choose_whom: ["Choose a persona", "Persona wählen"],
  search_people: ["Name or occupation", "Name oder Beruf"],
  nobody_found: ["Nobody here is called that.", "So heißt hier niemand."],
  messages: ["Messages", "Nachrichten"],
  older: ["Older messages", "Ältere Nachrichten"],
  newer: ["New messages", "Neue Nachrichten"],
  you: ["You", "Du"],
  house: ["Greenroom", "Greenroom"],
  message_of: ["{name}, {when}", "{name}, {when}"],
  draft_of: ["{name} is writing", "{name} schreibt"],
  message_sending: ["Your message, on its way", "Deine Nachricht, unterwegs"],
  sending: ["Sending …", "Wird gesendet …"],
  sent: ["Sent", "Gesendet"],
  send_again: ["Send again", "Noch einmal senden"],
  withdraw: ["Do not send", "Nicht senden"],
  write: ["Write something", "Schreib etwas"],
  write_to: ["Write to {name}", "Schreib {name}"],
  writing: ["is writing …", "schreibt …"],
  send: ["Send", "Senden"],
  stop: ["Stop", "Stopp"],
  regenerate: ["Another answer", "Andere Antwort"],
  edit_below: ["Change it below", "Unten ändern"],
  reactions: ["What you think of it", "Was du davon hältst"],
  react_like: ["I like it", "Gefällt mir"],
  react_dislike: ["I do not like it", "Gefällt mir nicht"],
  react_heart: ["I love it", "Liebe ich"],
  composer_hint: ["Enter sends, Shift and Enter begin a new line, / begins a command.", "Enter sendet, Umschalt und Enter beginnen eine neue Zeile, / beginnt einen Befehl."],
  suggestions: ["Suggestions", "Vorschläge"],
  understudy: ["Understudy", "Zweitbesetzung"],
  understudy_title: ["Written by the understudy, because no model could", "Von der Zweitbesetzung geschrieben, weil kein Modell es konnte"],
  making: ["A picture in the making", "Ein Bild entsteht"],
  preview: ["The picture as far as it is", "Das Bild, so weit es ist"],
  steps: ["Step {step} of {of}", "Schritt {step} von {of}"],
  left: ["about {span} left", "noch etwa {span}"],
  sure_delete: ["Delete this?", "Das löschen?"],
  sure_for_good: ["It is gone for good then.", "Es ist dann für immer weg."],
};

const LANGUAGES = ["en", "de"];

/** The first of the browser's languages that the page speaks. */
export const language =
  (navigator.languages ?? [navigator.language]).map((one) => one.slice(0, 2)).find((one) => LANGUAGES.includes(one)) ?? "en";

const column = LANGUAGES.indexOf(language);
const plural = new Intl.PluralRules(language);
const numbers = new Intl.NumberFormat(language);
const clocks = new Intl.DateTimeFormat(language, { hour: "numeric", minute: "2-digit" });
const days = new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long" });
const farDays = new Intl.DateTimeFormat(language, { day: "numeric", month: "long", year: "numeric" });
const dates = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });

/** Further words: of views that are not there from the beginning. */
export function teach(words) {
  Object.assign(WORDS, words);
}

export function say(name, facts = {}) {
  const forms = WORDS[name][column].split("|");
  const form = forms.length > 1 && plural.select(facts.n) !== "one" ? forms[1] : forms[0];
  return form.replace(/\{(\w+)\}/g, (_whole, fact) => (typeof facts[fact] === "number" ? numbers.format(facts[fact]) : String(facts[fact] ?? "")));
}

/** `14:05` */
export const clock = (moment) => clocks.format(new Date(moment));

/** Today, yesterday, a weekday with its date, or a date with its year. */
export function day(moment) {
  const then = new Date(moment);
  const back = daysBetween(then, new Date());
  if (back === 0 || back === 1) return capital(relative.format(-back, "day"));
  return (back < 180 ? days : farDays).format(then);
}

/** The time of today, else the date: as short as a list wants it. */
export function ago(moment) {
  const then = new Date(moment);
  return daysBetween(then, new Date()) === 0 ? clocks.format(then) : dates.format(then);
}

/** A number of seconds: `8 s`, `2 min`. */
export function span(seconds) {
  const [amount, unit] = seconds < 90 ? [Math.round(seconds), "second"] : [Math.round(seconds / 60), "minute"];
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short" }).format(amount);
}

export const number = (amount) => numbers.format(amount);

function daysBetween(then, now) {
  const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());
  return Math.round((midnight(now) - midnight(then)) / 86_400_000);
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
