// What stands in one chat, as this page knows it: the rows that the house told, and what is still on its way.
//
// The rows are the truth. What somebody has just written stands there at once under a key of its own, until its row
// comes; a draft stands there until its reply does.

import { get, newKey, part, post, query, Trouble } from "../api.js";
import { useHouse } from "../house.js";
import { plainWords } from "../markdown.js";
import { useEffect, useMemo, useReducer } from "../vdom.js";
import { say } from "../words.js";

const PAGE = 40;

export class Talk {
  constructor(chat, live, changed) {
    this.chat = chat;
    this.path = `/talks/${part(chat)}`;
    this.live = live;
    this.changed = changed;
    this.persona = null;
    this.loading = true;
    this.trouble = null;
    this.messages = new Map();
    /** The revision up to which everything is known. */
    this.revision = 0;
    this.caughtUp = false;
    /** Whether there are older messages than those here. */
    this.older = false;
    this.olderLoading = false;
    /** What was written here and has no row yet: `{key, text, trouble}` */
    this.own = [];
    /** Replies while they are written, by their turn. */
    this.drafts = new Map();
    /** How far jobs are, by their number. */
    this.steps = new Map();
    /** What the house said in passing. */
    this.told = [];
    /** Words of the house's that are to be changed, for whoever writes here: `{id, text}`. */
    this.offered = null;
    /** Whether something was asked for in this very tab, to which a question may come. */
    this.mayBeAsked = false;
    /** What is read out to whoever hears the page. */
    this.announced = "";
    /** What was told of rows while all is loaded anew, or what is older comes; null: nothing is on its way. */
    this.meanwhile = null;
    this.meanwhileOlder = null;
    this.leaving = [];
    this.asking = new AbortController();
  }

  async open() {
    await this.load();
    if (this.asking.signal.aborted) return;
    this.leaving.push(
      this.live.watchChat(this.chat, () => this.revision, (event) => this.take(event)),
      this.live.look((state) => state === "open" && this.sendAgain()),
    );
  }

  close() {
    this.asking.abort();
    for (const leave of this.leaving) leave();
  }

  /** The latest messages, as they are now. The revision is asked for first: what changes meanwhile is told again. */
  async load() {
    const { signal } = this.asking;
    const told = (this.meanwhile = []);
    try {
      const found = await get(this.path, { signal });
      const page = await get(`${this.path}/messages${query({ limit: PAGE })}`, { signal });
      if (this.meanwhile !== told) return; // it is loaded once more since
      this.persona = found.persona;
      this.revision = found.revision;
      this.messages = new Map(page.items.map((message) => [message.id, message]));
      this.older = page.next !== null;
      this.trouble = null;
    } catch (trouble) {
      if (signal.aborted || this.meanwhile !== told) return;
      this.trouble = trouble;
    }
    this.meanwhile = null;
    this.loading = false;
    for (const event of told) this.take(event); // what was loaded may be older
    this.changed();
  }

  async loadOlder() {
    if (!this.older || this.olderLoading) return;
    this.olderLoading = true;
    this.changed();
    const there = this.messages;
    const told = (this.meanwhileOlder = []);
    try {
      const page = await get(`${this.path}/messages${query({ before: this.oldest, limit: PAGE })}`, { signal: this.asking.signal });
      this.meanwhileOlder = null;
      // Loaded anew since, it may end elsewhere, and others would be missing between.
      if (this.messages === there) {
        for (const message of page.items) if (!there.has(message.id)) there.set(message.id, message);
        this.older = page.next !== null;
        for (const event of told) this.take(event); // what came may be older
      }
    } catch (trouble) {
      this.meanwhileOlder = null;
      this.tell(trouble);
    }
    this.olderLoading = false;
    this.changed();
  }

  get oldest() {
    return Math.min(...this.messages.keys());
  }

  get lines() {
    return [...this.messages.values()].sort((one, other) => one.id - other.id);
  }

  /** Whether a reply is being written. */
  get writing() {
    return this.drafts.size > 0;
  }

  /** Nobody was here yet. */
  get isNew() {
    return this.persona === null && this.messages.size === 0;
  }

  // What the house tells

  take(event) {
    switch (event.is) {
      case "message":
        this.meanwhile?.push(event);
        this.meanwhileOlder?.push(event);
        this.put(event.message);
        this.saw(event.message.revision);
        break;
      case "gone":
        this.meanwhile?.push(event);
        this.meanwhileOlder?.push(event);
        this.messages.delete(event.id);
        this.saw(event.revision);
        break;
      case "draft":
        this.drafts.set(event.turn, event);
        break;
      case "draft_over":
        this.drafts.delete(event.turn);
        break;
      case "told":
        this.tellOnce(event.text);
        break;
      case "step":
      case "job":
        this.step(event);
        break;
      case "caught_up":
        this.caughtUp = true;
        this.saw(event.revision);
        break;
      case "missed":
        this.drafts.clear();
        this.load();
        return;
      default:
        return;
    }
    this.changed();
  }

  step(event) {
    if (event.is === "step") {
      const before = this.steps.get(event.job);
      // A step without a preview keeps the last one: it only ever gets sharper.
      this.steps.set(event.job, { ...event, preview: event.preview ?? before?.preview ?? null });
    } else if (event.is === "job" && ["done", "failed", "cancelled"].includes(event.job.state)) {
      this.steps.delete(event.job.id);
    }
  }

  put(message) {
    const before = this.messages.get(message.id);
    if (before && before.revision > message.revision) return;
    // It comes with its page: here the next page would be looked for behind it, and those between never.
    if (!before && this.older && message.id < this.oldest) return;
    this.messages.set(message.id, message);
    if (message.by === "person") this.arrived(message);
    // What was drafted by them is this; that the draft is over is told in a moment.
    if (!before && message.by === "persona") {
      for (const [turn, draft] of this.drafts) if (draft.slug === message.slug) this.drafts.delete(turn);
    }
    if (!before && this.caughtUp && this.mayBeAsked && message.question) {
      this.mayBeAsked = false;
      if (message.question.prefill) this.offered = { id: message.id, text: message.question.prefill };
    }
    const newly = !before || (message.by === "persona" && message.text !== before.text) || (message.pictures.length > 0 && before.pictures.length === 0);
    if (newly && this.caughtUp && message.by !== "person") this.announced = `${message.name || say("house")}: ${plainWords(message.text)}`;
  }

  /** What a question is about is put where one writes. */
  offer(message) {
    this.offered = { id: message.id, text: message.question.prefill };
    this.changed();
  }

  /** Of what is told on the line only: there nothing is left out before it. */
  saw(revision) {
    this.revision = Math.max(this.revision, revision);
  }

  /** The row of something that was written here, or in another tab. It may be kept in a tidier form than it came in. */
  arrived(message) {
    const waiting = this.own.filter((one) => !one.trouble);
    const mine = waiting.find((one) => one.text.trim() === message.text.trim()) ?? waiting.find((one) => one.sent);
    if (mine) this.own = this.own.filter((one) => one !== mine);
  }

  tell(said) {
    const text = said instanceof Error ? said.message : said;
    if (said?.name === "AbortError") return;
    this.told = [...this.told.slice(-4), { id: newKey(), text }];
    this.announced = text;
    this.changed();
  }

  /** What was told about something written here stands beside that already. */
  tellOnce(text) {
    if (!this.own.some((one) => one.trouble?.message === text)) this.tell(text);
  }

  forgetTold(id) {
    this.told = this.told.filter((one) => one.id !== id);
    this.changed();
  }

  // What is done here

  say(text) {
    const mine = { key: newKey(), text, trouble: null, sent: false };
    this.own = [...this.own, mine];
    this.told = [];
    this.mayBeAsked = true;
    this.changed();
    return this.send(mine);
  }

  async send(mine) {
    this.mark(mine.key, { trouble: null });
    try {
      const { told, message } = await post(`${this.path}/messages`, { text: mine.text, key: mine.key });
      if (told) throw new Trouble(409, told);
      this.own = this.own.map((one) => (one.key === mine.key ? { ...one, sent: true } : one));
      if (message) {
        this.own = this.own.filter((one) => one.key !== mine.key);
        this.put(message);
      }
      this.changed();
    } catch (trouble) {
      this.told = this.told.filter((one) => one.text !== trouble.message);
      // Another row may have been taken for it meanwhile.
      if (!this.own.some((one) => one.key === mine.key)) this.own = [...this.own, mine];
      this.mark(mine.key, { trouble });
    }
  }

  /** What could not be sent because nobody answered goes out now. Its key sees to it that it is said once. */
  sendAgain() {
    for (const mine of this.own) if (mine.trouble instanceof Trouble && mine.trouble.status === 0) this.send(mine);
  }

  withdraw(key) {
    this.own = this.own.filter((one) => one.key !== key);
    this.changed();
  }

  mark(key, change) {
    this.own = this.own.map((one) => (one.key === key ? { ...one, ...change } : one));
    this.changed();
  }

  async press(message, button, words) {
    this.mayBeAsked = true;
    const pressed = post(`${this.path}/press`, { message, button, key: newKey(), ...(words ? { words } : {}) });
    await this.tried(pressed.then(({ told }) => told && this.tellOnce(told)));
  }

  async react(message, emoji, added) {
    const told = post(`${this.path}/react`, { message: message.id, emoji, added });
    await this.tried(
      told.then((now) => {
        this.put(now);
        this.changed();
      }),
    );
  }

  async stop() {
    await this.tried(post(`${this.path}/stop`));
  }

  async tried(doing) {
    try {
      await doing;
    } catch (trouble) {
      this.tell(trouble);
    }
  }
}

export function useTalk(chat) {
  const { live } = useHouse();
  const [, changed] = useReducer((count) => count + 1, 0);
  const talk = useMemo(() => new Talk(chat, live, () => changed()), [chat, live]);
  useEffect(() => {
    talk.open();
    return () => talk.close();
  }, [talk]);
  return talk;
}
