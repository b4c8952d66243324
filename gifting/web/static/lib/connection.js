/** One WebSocket to the server that comes back by itself: replies by id, heartbeat, the server's clock. */

/** @import { Reason, Replies, RoomEvents } from "./protocol.js" */

import { claims } from "./keys.js";

const SUBPROTOCOL = "gifting.v1.json";
const TOKEN_PREFIX = "gifting.token.";
const FIRST_DELAY = 500;
const LONGEST_DELAY = 15_000;
const OPEN_TIMEOUT = 10_000;
const REPLY_TIMEOUT = 8_000;
const PING_EVERY = 20_000;
const STABLE_AFTER = 10_000;
/** Of so many tries in a row that did not open, one asks why: in a storm of reconnects, asking is load as well. */
const ASK_WHY_EVERY = 4;
/** The close code for a message that is larger than its reader takes. */
const TOO_BIG = 1009;
const MAX_PENDING = 256;
const MAX_BUFFERED = 65_536;

/**
 * What a server says of what went wrong.
 * @typedef {Partial<Omit<Reason, "code">> & {code?: string}} Told
 */

/**
 * What went wrong: `code` for programs, `message` for people, `temporary` if the same may work later, `until` when (ms since
 * 1970), `cap` how many coins are allowed; `confirm` goes with what is said again, which costs `price` at most.
 */
export class GiftingError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {boolean} temporary
   * @param {Told} [told]
   */
  constructor(code, message, temporary, { until = 0, cap = 0, confirm = "", price = undefined } = {}) {
    super(message);
    this.name = "GiftingError";
    this.code = code;
    this.temporary = temporary;
    this.until = until;
    this.cap = cap;
    this.confirm = confirm;
    this.price = price;
    /** The gift's key, so that a gift of unknown outcome can be asked about again. @type {string} */
    this.key = "";
  }
}

/**
 * Milliseconds to wait before the next try: exponential, with full jitter.
 * @param {number} attempt how many have failed before, from 0
 */
export function backoff(attempt, first = FIRST_DELAY, longest = LONGEST_DELAY, random = Math.random) {
  return random() * Math.min(longest, first * 2 ** attempt);
}

/** What a server says went wrong, as an error. @param {Told} told */
export function refusal(told) {
  const { code = "internal", message = "", temporary = true } = told;
  return new GiftingError(code, message, temporary, told);
}

/** Whether to connect again after a close with this code. @param {number} code */
export function mayReconnect(code) {
  return !(code >= 4500 && code <= 4999);
}

/** @typedef {{state: "connecting" | "connected" | "reconnecting" | "closed", reason: string, code: number}} State */

/**
 * What waits for a reply; `size` is that of the message.
 * @typedef {{resolve: (reply: any) => void, reject: (error: GiftingError) => void, timer: number, size: number}} Waiting
 */

/**
 * @typedef {object} Handlers
 * @property {() => void} onOpen a connection is there; nothing is joined on it yet
 * @property {(frame: RoomEvents) => void} onFrame a message that is no reply
 * @property {(state: State) => void} onState
 * @property {() => string} whyUrl an address that refuses whom the WebSocket refuses; may be ""
 */

export class Connection {
  #url;
  #handlers;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {Map<number, Waiting>} */
  #pending = new Map();
  #nextId = 1;
  #attempt = 0;
  #openedAt = 0;
  #timer = 0;
  #heartbeat = 0;
  #offset = 0;
  /** @type {State["state"]} */
  state = "closed";
  reason = "not started";

  /**
   * @param {string} url
   * @param {string} token
   * @param {Handlers} handlers
   */
  constructor(url, token, handlers) {
    this.#url = url;
    this.token = token;
    this.#handlers = handlers;
  }

  /** Connect, and stay connected until `close()`. */
  start() {
    if (this.state !== "closed") return;
    this.#attempt = 0;
    this.#setState("connecting", "", 0);
    this.#open();
  }

  /** Close for good. */
  close(reason = "closed by the page", code = 1000) {
    this.#drop(reason);
    clearTimeout(this.#timer);
    this.#setState("closed", reason, code);
  }

  /** The server's clock in milliseconds since 1970. */
  now() {
    return Date.now() + this.#offset;
  }

  /**
   * Send one message and wait for its reply.
   * @template {keyof Replies} Op
   * @param {Op} op
   * @param {object} [fields]
   * @returns {Promise<Replies[Op]>} rejects with a GiftingError
   */
  request(op, fields = {}, timeout = REPLY_TIMEOUT) {
    const socket = this.#socket;
    if (this.state !== "connected" || !socket) {
      const why = "There is no connection to the server.";
      return Promise.reject(new GiftingError("disconnected", why, this.state !== "closed"));
    }
    if (this.#pending.size >= MAX_PENDING || socket.bufferedAmount > MAX_BUFFERED) {
      return Promise.reject(new GiftingError("too_many_pending", "Too much is waiting for the server.", true));
    }
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new GiftingError("timeout", "The server did not answer in time.", true));
      }, timeout);
      const message = JSON.stringify({ ...fields, op, id });
      this.#pending.set(id, { resolve, reject, timer, size: message.length });
      socket.send(message);
    });
  }

  #open() {
    // What can be no token would be quoted on the console by the browser.
    if (!/^[\w.-]*$/.test(this.token)) return this.close("the token is malformed", 401);
    // A page can't set headers, and addresses are logged: the token goes beside the subprotocol.
    const socket = new WebSocket(this.#url, this.token ? [SUBPROTOCOL, TOKEN_PREFIX + this.token] : [SUBPROTOCOL]);
    this.#socket = socket;
    this.#openedAt = Infinity;
    this.#timer = setTimeout(() => this.#lost(1006, "no answer"), OPEN_TIMEOUT);
    const current = () => this.#socket === socket;
    socket.onopen = () => current() && this.#opened();
    socket.onmessage = (event) => current() && this.#received(event.data);
    socket.onclose = (event) => current() && this.#lost(event.code, event.reason);
  }

  #opened() {
    clearTimeout(this.#timer);
    this.#openedAt = performance.now();
    this.#setState("connected", "", 0);
    this.#ping();
    this.#heartbeat = setInterval(() => this.#ping(), PING_EVERY);
    this.#handlers.onOpen();
  }

  /** A half-open connection looks fine to the browser for minutes; an unanswered ping tells. */
  async #ping() {
    const socket = this.#socket;
    const sent = Date.now();
    try {
      const reply = await this.request("ping");
      if (Number.isFinite(reply.ts)) this.#offset = reply.ts - (sent + Date.now()) / 2;
    } catch (error) {
      if (error.code === "timeout" && socket === this.#socket) this.#lost(1006, "no answer to a ping");
    }
  }

  /** @param {string} data */
  #received(data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (message?.re === undefined) return void this.#handlers.onFrame(message);
    const waiting = this.#pending.get(message.re);
    if (!waiting) return;
    this.#pending.delete(message.re);
    clearTimeout(waiting.timer);
    if (message.ok) return void waiting.resolve(message);
    waiting.reject(refusal(message.error ?? {}));
  }

  /** @param {number} code @param {string} reason */
  #lost(code, reason) {
    if (code === TOO_BIG) this.#refuseLargest();
    this.#drop(reason || `code ${code}`);
    clearTimeout(this.#timer);
    if (performance.now() - this.#openedAt > STABLE_AFTER) this.#attempt = 0;
    if (!mayReconnect(code)) return this.#setState("closed", reason || `code ${code}`, code);
    if ((claims(this.token).exp ?? Infinity) * 1000 <= this.now()) return this.#setState("closed", "token expired", code);
    this.#setState("reconnecting", reason || `code ${code}`, code);
    if (this.#openedAt === Infinity && this.#attempt % ASK_WHY_EVERY === 0) this.#askWhy();
    this.#timer = setTimeout(() => this.#open(), backoff(this.#attempt++));
  }

  /** A browser hides why an upgrade was refused; an ordinary request with the same token tells. */
  async #askWhy() {
    const url = this.#handlers.whyUrl();
    const token = this.token;
    if (!url || !token) return;
    try {
      const reply = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
      if (reply.status !== 401 || this.state === "connected" || token !== this.token) return;
      this.close((await reply.json()).detail ?? "the token was refused", 401);
    } catch {
      // No answer, or none of this server: trying goes on.
    }
  }

  /** What is too large for the server was not executed, and would be too large again. */
  #refuseLargest() {
    const [largest] = [...this.#pending].sort(([, one], [, other]) => other.size - one.size);
    if (!largest) return;
    const [id, waiting] = largest;
    this.#pending.delete(id);
    clearTimeout(waiting.timer);
    waiting.reject(new GiftingError("message_too_large", "Send less in one message.", false));
  }

  /** @param {string} reason */
  #drop(reason) {
    const socket = this.#socket;
    this.#socket = null;
    clearInterval(this.#heartbeat);
    socket?.close();
    this.state = "reconnecting";
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new GiftingError("disconnected", `The connection was lost (${reason}).`, true));
    }
    this.#pending.clear();
  }

  /** @param {State["state"]} state @param {string} reason @param {number} code */
  #setState(state, reason, code) {
    this.state = state;
    this.reason = reason;
    this.#handlers.onState({ state, reason, code });
  }
}
