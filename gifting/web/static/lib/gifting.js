/**
 * The browser's client of a gifting server.
 *
 *     const client = new GiftingClient({ token, rooms: [{ room: "r1", lane: "live" }] });
 *     client.on("event", ({ event }) => console.log(event.type, event.seq));
 *     client.connect();
 *     await client.sendGift("r1", "spark", 5, "for you");
 */

/** @import { Event, GiftStatusReply, JoinReply, LiveTotals, Replies, RoomEvents, Snapshot, WalletEvent } from "./protocol.js" */
/** @import { State } from "./connection.js" */
/** @import { Sent } from "./sending.js" */

import { at } from "./base.js";
import { backoff, Connection, GiftingError } from "./connection.js";
import { uuid7 } from "./keys.js";
import { Sending } from "./sending.js";

export { GiftingError };

const MAX_SENDING = 64;
const GIFT_TRIES = 8;
const GIFT_TIME = 60_000;
/** A room may be opened after its overlay is, so this refusal is asked about again as well. */
const ROOM_NOT_FOUND = "room_not_found";
/** In place of a room: what concerns the user. */
const NO_ROOM = "";

/**
 * @typedef {object} Room
 * @property {string} id
 * @property {string} lane
 * @property {number | null} seq the last one seen
 * @property {boolean} known whether there was a snapshot
 * @property {boolean} joined
 * @property {number} attempt
 * @property {number} timer
 */

/**
 * @typedef {object} Told what the function that `on` is given is called with
 * @property {State} state
 * @property {{room: string, snapshot: Snapshot, gap: boolean, first: boolean}} snapshot
 * @property {{room: string, event: Exclude<Event, WalletEvent>}} event
 * @property {{room: string, totals: LiveTotals}} totals
 * @property {{event: WalletEvent}} user
 * @property {{room: string, error: GiftingError}} refused
 */

/**
 * What `on` takes, and what its function is called with:
 * - `state`: `{state: "connecting" | "connected" | "reconnecting" | "closed", reason, code}`
 * - `snapshot`: `{room, snapshot, gap, first}` after each join; with `gap` or `first`, start anew from it
 * - `event`: `{room, event}`, in order; a numbered event never twice
 * - `totals`: `{room, totals}`
 * - `user`: `{event}`, what concerns the token's user and no room, such as `{type: "wallet", coins}`
 * - `refused`: `{room, error}`, a join that failed
 */
export class GiftingClient {
  #connection;
  /** @type {Map<string, Room>} */
  #rooms = new Map();
  /** @type {Map<string, Set<(told: any) => void>>} */
  #listeners = new Map();
  /** @type {Set<() => void>} */
  #waiters = new Set();
  #sending = 0;

  /** @param {{url?: string, token?: string, rooms?: {room: string, lane?: string, since?: number | null}[]}} options */
  constructor({ url = ownUrl(), token = "", rooms = [] } = {}) {
    this.#connection = new Connection(url, token, {
      onOpen: () => this.#rooms.forEach((room) => this.#join(room)),
      onFrame: (frame) => this.#frame(frame),
      onState: (state) => this.#stateChanged(state),
      whyUrl: () => this.#whyUrl(url),
    });
    for (const { room, lane, since } of rooms) this.join(room, lane, since);
  }

  /**
   * Call `listener` at every `type`.
   * @template {keyof Told} Type
   * @param {Type} type
   * @param {(told: Told[Type]) => void} listener
   * @returns {() => void} stops it
   */
  on(type, listener) {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return () => void listeners.delete(listener);
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
    return this.#rooms.get(room)?.seq ?? null;
  }

  /**
   * Join a room now, and again after every reconnect.
   * @param {string} room
   * @param {string} [lane] `all` or `live`
   * @param {number | null} [since] the last seq that was seen before: what came after it follows
   */
  join(room, lane = "live", since = null) {
    if (this.#rooms.has(room)) return;
    const state = { id: room, lane, seq: since, known: false, joined: false, attempt: 0, timer: 0 };
    this.#rooms.set(room, state);
    if (this.state === "connected") this.#join(state);
  }

  /** @param {string} room */
  async leave(room) {
    clearTimeout(this.#rooms.get(room)?.timer);
    this.#rooms.delete(room);
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
   * @param {{key?: string, tries?: number, within?: number}} [options] `key`: of an earlier try, see `GiftingError.key`
   * @returns {Promise<Sent>} the reply; rejects with a GiftingError. Of code `outcome_unknown`: ask again with its
   *   `key`. Of any other: nothing was charged, and a new key is safe.
   */
  async sendGift(room, gift, count = 1, message = "", { key = "", tries = GIFT_TRIES, within = GIFT_TIME } = {}) {
    if (this.#sending >= MAX_SENDING) throw new GiftingError("too_many_pending", "Too many gifts at once.", true);
    /** @type {import("./sending.js").Way} */
    const way = {
      ready: (deadline) => this.#untilJoined(room, deadline),
      request: (op, fields, timeout) => this.request(op, fields, timeout),
      newKey: () => uuid7(this.now()),
    };
    const sending = new Sending(way, { room, gift, count, key, ...(message ? { message } : {}) });
    this.#sending++;
    try {
      return await sending.finish(tries, performance.now() + within);
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
    const ready = () => this.#rooms.get(room)?.joined || (!this.#rooms.has(room) && this.state === "connected");
    return new Promise((resolve, reject) => {
      /** @param {GiftingError} [error] */
      const finish = (error) => {
        clearTimeout(timer);
        this.#waiters.delete(look);
        return error ? reject(error) : resolve();
      };
      const look = () => {
        if (ready()) finish();
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

  /** @param {Room} room */
  async #join(room) {
    const since = room.seq === null ? {} : { since: room.seq };
    try {
      const reply = await this.request("join", { room: room.id, lane: room.lane, ...since });
      if (this.#rooms.get(room.id) === room) this.#joined(room, reply);
    } catch (error) {
      if (error.code !== "disconnected") this.#refused(room, error);
    }
  }

  /** @param {Room} room @param {JoinReply} reply */
  #joined(room, reply) {
    const first = !room.known;
    const gap = Boolean(reply.gap);
    // Without a gap, what was missed is still to come: the snapshot's seq is ahead of it.
    if (room.seq === null || gap) room.seq = reply.room.seq;
    room.known = room.joined = true;
    room.attempt = 0;
    this.#emit("snapshot", { room: room.id, snapshot: reply.room, gap, first });
    this.#wake();
  }

  /** @param {Room} room @param {GiftingError} error */
  #refused(room, error) {
    this.#emit("refused", { room: room.id, error });
    if (!error.temporary && error.code !== ROOM_NOT_FOUND) return;
    const again = () => this.state === "connected" && this.#rooms.get(room.id) === room && this.#join(room);
    room.timer = setTimeout(again, backoff(room.attempt++));
  }

  /** @param {RoomEvents} frame */
  #frame(frame) {
    if (frame?.room === NO_ROOM) {
      for (const event of frame.events ?? []) this.#emit("user", { event });
      return;
    }
    const room = this.#rooms.get(frame?.room);
    if (!room || room.seq === null) return;
    for (const event of frame.events ?? []) {
      if ("seq" in event) {
        if (event.seq <= room.seq) continue;
        room.seq = event.seq;
      }
      this.#emit("event", { room: room.id, event });
    }
    if (frame.seq > room.seq) room.seq = frame.seq;
    if (frame.totals) this.#emit("totals", { room: room.id, totals: frame.totals });
  }

  /** @param {string} url */
  #whyUrl(url) {
    const [room] = this.#rooms.keys();
    return room === undefined ? "" : new URL(`rooms/${encodeURIComponent(room)}`, url.replace(/^ws/, "http")).href;
  }

  /** @param {State} state */
  #stateChanged(state) {
    for (const room of this.#rooms.values()) {
      room.joined = false;
      clearTimeout(room.timer);
    }
    this.#emit("state", state);
    this.#wake();
  }

  #wake() {
    for (const look of [...this.#waiters]) look();
  }

  /** A listener that throws must not stop the others, nor lose the events after it. @param {keyof Told} type @param {object} detail */
  #emit(type, detail) {
    for (const listener of this.#listeners.get(type) ?? []) {
      try {
        listener(detail);
      } catch (error) {
        reportError(error);
      }
    }
  }
}

function ownUrl() {
  return at("/v1/ws").replace(/^http/, "ws");
}
