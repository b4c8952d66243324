/**
 * The browser's client of a gifting server.
 *
 *     const client = new GiftingClient({ token, rooms: [{ room: "r1", lane: "live" }] });
 *     client.on("event", ({ event }) => console.log(event.type, event.seq));
 *     client.connect();
 *     await client.sendGift("r1", "spark", 5, "for you");
 */

/** @import { GiftStatusReply, Replies } from "./protocol.js" */
/** @import { State } from "./connection.js" */
/** @import { Told } from "./listeners.js" */
/** @import { Confirm, Sent } from "./sending.js" */

import { at } from "./base.js";
import { Connection, GiftingError } from "./connection.js";
import { uuid7 } from "./keys.js";
import { Listeners } from "./listeners.js";
import { Rooms } from "./rooms.js";
import { Sending } from "./sending.js";

export { GiftingError };

const MAX_SENDING = 64;
const GIFT_TRIES = 8;
const GIFT_TIME = 60_000;

export class GiftingClient {
  #connection;
  #rooms;
  #listeners = new Listeners();
  /** @type {Set<() => void>} */
  #waiters = new Set();
  #sending = 0;

  /** @param {{url?: string, token?: string, rooms?: {room: string, lane?: string, since?: number | null, epoch?: number | null}[]}} options */
  constructor({ url = ownUrl(), token = "", rooms = [] } = {}) {
    this.#connection = new Connection(url, token, {
      onOpen: () => this.#rooms.joinAll(),
      onFrame: (frame) => this.#rooms.take(frame),
      onState: (state) => this.#stateChanged(state),
      whyUrl: () => this.#whyUrl(url),
    });
    this.#rooms = new Rooms(this.#connection, this.#listeners, () => this.#wake());
    for (const { room, lane, since, epoch } of rooms) this.join(room, lane, since, epoch);
  }

  /**
   * Call `listener` at every `type`; listeners.js says what there is.
   * @template {keyof Told} Type
   * @param {Type} type
   * @param {(told: Told[Type]) => void} listener
   * @returns {() => void} stops it
   */
  on(type, listener) {
    return this.#listeners.add(type, listener);
  }

  connect() {
    this.#connection.start();
  }

  close() {
    this.#connection.close();
  }

  get state() {
    return this.#connection.state;
  }

  /** The server's clock in milliseconds since 1970. */
  now() {
    return this.#connection.now();
  }

  /** The last seq seen of a room; null before its first snapshot, if it was joined without one. @param {string} room */
  seq(room) {
    return this.#rooms.seq(room);
  }

  /** What is to be kept beside `seq()`, and given to `join()` with it. @param {string} room */
  epoch(room) {
    return this.#rooms.epoch(room);
  }

  /**
   * Join a room now, and again after every reconnect.
   * @param {string} room
   * @param {string} [lane] `all` or `live`
   * @param {number | null} [since] the last seq that was seen before: what came after it follows
   * @param {number | null} [epoch] what `epoch()` was then
   */
  join(room, lane = "live", since = null, epoch = null) {
    this.#rooms.add(room, lane, since, epoch);
  }

  /** @param {string} room */
  async leave(room) {
    this.#rooms.remove(room);
    if (this.state === "connected") await this.request("leave", { room });
  }

  /**
   * Send one op and wait for its reply.
   * @template {keyof Replies} Op
   * @param {Op} op
   * @param {object} [fields]
   * @param {number} [timeout] milliseconds
   * @returns {Promise<Replies[Op]>} rejects with a GiftingError
   */
  request(op, fields = {}, timeout = undefined) {
    return this.#connection.request(op, fields, timeout);
  }

  /** Use a newer token of the same user, now and for every reconnect. @param {string} token */
  async refresh(token) {
    this.#connection.token = token;
    if (this.state === "connected") await this.request("refresh", { token });
  }

  /**
   * Send a gift once: whatever happens on the way, it is said again with the same key until the outcome is known. Where a
   * reply was lost, or `key` is given, a refusal is checked by `giftStatus` before it is told.
   * @param {string} room
   * @param {string} gift catalog id
   * @param {number} [count]
   * @param {string} [message]
   * @param {{key?: string, tries?: number, within?: number, anonymous?: boolean, confirm?: Confirm}} [options]
   *   `key`: of an earlier try, see `GiftingError.key`; `anonymous` shows the room a made-up name; `confirm` asks whether a
   *   gift is meant that the server wants confirmed
   * @returns {Promise<Sent>} the reply; rejects with a GiftingError. Of code `outcome_unknown`: ask again with its
   *   `key`. Of any other: nothing was charged, and a new key is safe.
   */
  async sendGift(room, gift, count = 1, message = "", options = {}) {
    const { key = "", tries = GIFT_TRIES, within = GIFT_TIME, anonymous = false, confirm } = options;
    if (this.#sending >= MAX_SENDING) throw new GiftingError("too_many_pending", "Too many gifts at once.", true);
    /** @type {import("./sending.js").Way} */
    const way = {
      ready: (deadline) => this.#untilJoined(room, deadline),
      request: (op, fields, timeout) => this.request(op, fields, timeout),
      newKey: () => uuid7(this.now()),
      confirm,
    };
    const more = { ...(message && { message }), ...(anonymous && { anonymous }) };
    const sending = new Sending(way, { room, gift, count, key, ...more });
    this.#sending++;
    try {
      return await sending.finish(tries, within);
    } catch (error) {
      error.key = sending.key;
      throw error;
    } finally {
      this.#sending--;
    }
  }

  /**
   * What became of the gift with `key`, however long ago it was sent.
   * @param {string} key
   * @returns {Promise<GiftStatusReply>} its `state`: `accepted`, `refused` (with `error`), `open` (send it again with the same
   *   key) or `unknown` (nothing was charged, and a new key is safe)
   */
  giftStatus(key) {
    return this.request("gift_status", { key });
  }

  /** @param {string} room @param {number} deadline @returns {Promise<void>} */
  #untilJoined(room, deadline) {
    return new Promise((resolve, reject) => {
      /** @param {GiftingError} [error] */
      const finish = (error) => {
        clearTimeout(timer);
        this.#waiters.delete(look);
        return error ? reject(error) : resolve();
      };
      const look = () => {
        if (this.#rooms.isReady(room)) finish();
        else if (this.state === "closed") {
          finish(new GiftingError("disconnected", `The connection is closed (${this.#connection.reason}).`, false));
        }
      };
      const late = () => finish(new GiftingError("disconnected", "There is no connection to the room.", true));
      const timer = setTimeout(late, deadline - performance.now());
      this.#waiters.add(look);
      look();
    });
  }

  /** @param {string} url */
  #whyUrl(url) {
    const room = this.#rooms.first;
    return room && new URL(`rooms/${encodeURIComponent(room)}`, url.replace(/^ws/, "http")).href;
  }

  /** @param {State} state */
  #stateChanged(state) {
    this.#rooms.unjoinAll();
    this.#listeners.tell("state", state);
    this.#wake();
  }

  #wake() {
    for (const look of [...this.#waiters]) look();
  }
}

function ownUrl() {
  return at("/v1/ws").replace(/^http/, "ws");
}
