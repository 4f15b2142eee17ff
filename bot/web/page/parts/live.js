// One connection for all that is live on the page. It comes back by itself, and says then what it has missed.
//
// A view watches a topic, and gets every event of it. After a gap a chat goes on behind the last revision that was
// seen; the other topics get `{is: "again"}`, and load anew. So does whoever watched before the first line stood.

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;
/** The house says something at least every 15 seconds; silent for so long, it is gone. */
const SILENCE = 40_000;

export class Live {
  constructor(address) {
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    this.address = address.href;
    /** `new`, `open` or `lost` */
    this.state = "new";
    this.watches = new Set();
    this.lookers = new Set();
    this.socket = null;
    this.pause = FIRST_PAUSE;
    this.timer = 0;
    this.silence = 0;
    this.opened = 0;
  }

  open() {
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
    // A page that the browser kept aside and shows again has lost its socket without a word.
    addEventListener("pageshow", (event) => event.persisted && this.hurry());
    this.connect();
  }

  /** Called at once, and whenever the connection comes or goes. Answers how to stop it. */
  look(looker) {
    this.lookers.add(looker);
    looker(this.state);
    return () => this.lookers.delete(looker);
  }

  /** Watch `jobs`, `runs`, … Answers how to leave. */
  watch(topic, take) {
    return this.add({ topic, take, ask: () => ({ watch: topic }), leave: { leave: topic } });
  }

  /** Watch a chat, from behind the revision that `after` answers. Answers how to leave. */
  watchChat(chat, after, take) {
    const ask = () => ({ watch: "chat", chat, after: after() });
    return this.add({ topic: "chat", chat, take, ask, leave: { leave: "chat", chat } });
  }

  add(watch) {
    this.watches.add(watch);
    // What they load meanwhile may change before the line stands, and nobody tells them.
    watch.early = this.state !== "open";
    if (!watch.early) this.send(watch.ask());
    return () => {
      this.watches.delete(watch);
      const shared = [...this.watches].some((one) => one.topic === watch.topic && one.chat === watch.chat);
      if (this.state === "open" && !shared) this.send(watch.leave);
    };
  }

  connect() {
    clearTimeout(this.timer);
    const socket = new WebSocket(this.address);
    this.socket = socket;
    socket.onopen = () => this.began(socket);
    socket.onmessage = (event) => this.heard(socket, event.data);
    socket.onclose = () => this.ended(socket);
  }

  began(socket) {
    if (socket !== this.socket) return;
    const again = this.opened > 0;
    this.opened += 1;
    this.tell("open");
    this.listen();
    for (const watch of this.watches) {
      this.send(watch.ask());
      if ((again || watch.early) && watch.topic !== "chat") watch.take({ is: "again" });
      watch.early = false;
    }
  }

  heard(socket, data) {
    if (socket !== this.socket) return;
    this.pause = FIRST_PAUSE;
    this.listen();
    let event;
    try {
      event = JSON.parse(data);
    } catch {
      return;
    }
    const topics = TOPICS[event.is];
    for (const watch of [...this.watches]) {
      if (topics && !topics.includes(watch.topic)) continue;
      if (watch.topic === "chat" && event.chat !== undefined && event.chat !== watch.chat) continue;
      // For a list it is the same whether the line was broken, or too much was said at once.
      watch.take(event.is === "missed" && watch.topic !== "chat" ? { is: "again" } : event);
    }
  }

  ended(socket) {
    if (socket !== this.socket) return;
    this.socket = null;
    clearTimeout(this.silence);
    clearTimeout(this.timer);
    this.tell("lost");
    this.timer = setTimeout(() => this.connect(), this.pause * (0.75 + Math.random() / 2));
    this.pause = Math.min(LONGEST_PAUSE, this.pause * 2);
  }

  /** Something says that it may work again: do not wait for the pause to end. */
  hurry() {
    if (this.socket) return;
    this.pause = FIRST_PAUSE;
    this.connect();
  }

  listen() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => {
      const silent = this.socket;
      silent?.close();
      if (silent) this.ended(silent); // a dead line takes its time to close
    }, SILENCE);
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  tell(state) {
    this.state = state;
    for (const looker of [...this.lookers]) looker(state);
  }
}

/** Whom an event concerns; what stands in no line here is for everybody. */
const CHAT = ["chat"];
const JOBS = ["chat", "jobs"];
const TOPICS = {
  message: CHAT,
  gone: CHAT,
  draft: CHAT,
  draft_over: CHAT,
  told: CHAT,
  caught_up: CHAT,
  job: JOBS,
  step: JOBS,
  run: ["runs"],
  post: ["posts"],
  health: ["health"],
  pull: ["models"],
};
