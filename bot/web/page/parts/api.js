// Asks the house. What goes wrong comes back as a `Trouble` with a sentence that a person can read.

import { say } from "./words.js";

const BASE = "/api/v1";
/** Said on `window` when the house no longer knows this browser. */
export const SIGNED_OUT = "greenroom-signed-out";
/** So often is asked again by itself, where asking twice does no harm, and so many seconds are waited at most. */
const TRIES = 3;
const PATIENCE = 5;

export class Trouble extends Error {
  /**
   * `status` 0: the house did not answer. `after`: it asks to come back in so many seconds. `errors`: what is wrong in
   * which part of what was sent, `{pointer, detail}`, where it says so.
   */
  constructor(status, detail, after = 0, errors = []) {
    super(detail);
    this.status = status;
    this.after = after;
    this.errors = errors;
  }
}

export const get = (path, options) => ask("GET", path, undefined, options);
export const post = (path, body = {}, options) => ask("POST", path, body, options);
export const put = (path, body, options) => ask("PUT", path, body, options);
export const patch = (path, body, options) => ask("PATCH", path, body, options);
export const remove = (path, options) => ask("DELETE", path, undefined, options);

/** `{a: 1, b: ["x", "y"], c: ""}` as `?a=1&b=x&b=y`. */
export function query(facts) {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(facts)) {
    for (const one of [value].flat()) if (one !== undefined && one !== null && one !== "") asked.append(name, one);
  }
  return asked.size ? `?${asked}` : "";
}

/** A part of a path, whatever stands in it. */
export const part = (text) => encodeURIComponent(text);

/** A key of one's own for something that is asked once, however often it is sent. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function ask(method, path, body, { signal } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await once(method, path, body, signal);
    } catch (error) {
      const again = error instanceof Trouble && error.after > 0 && error.after <= PATIENCE;
      if (method !== "GET" || !again || attempt >= TRIES) throw error;
      await pause(error.after, signal);
    }
  }
}

async function once(method, path, body, signal) {
  const headers = { Accept: "application/json", "X-Greenroom": "page" };
  const file = body instanceof Blob;
  if (body !== undefined) headers["Content-Type"] = file ? body.type || "application/octet-stream" : "application/json";
  let answer;
  try {
    answer = await fetch(path.startsWith("/") ? BASE + path : path, {
      method,
      headers,
      body: body === undefined || file ? body : JSON.stringify(body),
      credentials: "same-origin",
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble(0, say("no_answer"));
  }
  if (!answer.ok) throw await troubleOf(answer);
  return answer.status === 204 ? null : answer.json();
}

async function troubleOf(answer) {
  if (answer.status === 401) dispatchEvent(new CustomEvent(SIGNED_OUT));
  let told = {};
  try {
    told = await answer.json();
  } catch {
    // No problem of ours: a proxy between us, perhaps.
  }
  const after = secondsOf(answer.headers.get("Retry-After"));
  const detail = typeof told?.detail === "string" && told.detail ? told.detail : say("went_wrong", { status: answer.status });
  return new Trouble(answer.status, after ? `${detail} ${say("again_in", { n: after })}` : detail, after, Array.isArray(told?.errors) ? told.errors : []);
}

/** A number of seconds, or a moment. */
function secondsOf(told) {
  if (!told) return 0;
  const seconds = /^\d+$/.test(told) ? Number(told) : (Date.parse(told) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(1, Math.ceil(seconds)) : 0;
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
