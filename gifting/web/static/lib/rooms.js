/** The rooms that a client is in: joined anew after every reconnect, from where they were. */

/** @import { Event, JoinReply, RoomEvents, UserEvent } from "./protocol.js" */
/** @import { Connection, GiftingError } from "./connection.js" */
/** @import { Listeners } from "./listeners.js" */

import { backoff } from "./connection.js";

/** A room may be opened after its overlay is, so this refusal is asked about again as well. */
const ROOM_NOT_FOUND = "room_not_found";
/** In place of a room: what concerns the user. */
const NO_ROOM = "";
/** @type {Record<UserEvent["type"], true>} */
const OF_USER = { wallet: true, budget: true, reminder: true, destination: true };

/**
 * @typedef {object} Room
 * @property {string} id
 * @property {string} lane
 * @property {number | null} seq the last one seen
 * @property {number | null} epoch what was told with it, if anything was
 * @property {boolean} known whether there was a snapshot
 * @property {boolean} joined
 * @property {number} attempt
 * @property {number} timer
 */

export class Rooms {
  #connection;
  #listeners;
  #changed;
  /** @type {Map<string, Room>} */
  #rooms = new Map();

  /** @param {Connection} connection @param {Listeners} listeners @param {() => void} changed a room was joined */
  constructor(connection, listeners, changed) {
    this.#connection = connection;
    this.#listeners = listeners;
    this.#changed = changed;
  }

  /** The first of them; "" if there is none. */
  get first() {
    return [...this.#rooms.keys()][0] ?? "";
  }

  /** @param {string} id @returns {number | null} */
  seq(id) {
    return this.#rooms.get(id)?.seq ?? null;
  }

  /** What was told with it, and is to be said with it. @param {string} id @returns {number | null} */
  epoch(id) {
    return this.#rooms.get(id)?.epoch ?? null;
  }

  /** Whether the server knows us in the room, or it is none of these and the connection is there. @param {string} id */
  isReady(id) {
    return this.#rooms.get(id)?.joined ?? this.#connection.state === "connected";
  }

  /** @param {string} id @param {string} lane @param {number | null} since @param {number | null} epoch */
  add(id, lane, since, epoch) {
    if (this.#rooms.has(id)) return;
    const room = { id, lane, seq: since, epoch, known: false, joined: false, attempt: 0, timer: 0 };
    this.#rooms.set(id, room);
    if (this.#connection.state === "connected") this.#join(room);
  }

  /** @param {string} id */
  remove(id) {
    clearTimeout(this.#rooms.get(id)?.timer);
    this.#rooms.delete(id);
  }

  joinAll() {
    this.#rooms.forEach((room) => this.#join(room));
  }

  /** The connection is another one, or none. */
  unjoinAll() {
    for (const room of this.#rooms.values()) {
      room.joined = false;
      clearTimeout(room.timer);
    }
  }

  /** @param {RoomEvents} frame */
  take(frame) {
    if (frame?.room === NO_ROOM) return void this.#takeUsers(frame);
    const room = this.#rooms.get(frame?.room);
    if (!room || room.seq === null) return;
    for (const event of frame.events ?? []) {
      if ("seq" in event) {
        if (event.seq <= room.seq) continue;
        room.seq = event.seq;
      }
      if (!isUsers(event)) this.#listeners.tell("event", { room: room.id, event });
    }
    if (frame.seq > room.seq) room.seq = frame.seq;
    room.epoch = frame.epoch ?? room.epoch;
    if (frame.totals) this.#listeners.tell("totals", { room: room.id, totals: frame.totals });
  }

  /** @param {RoomEvents} frame */
  #takeUsers(frame) {
    for (const event of frame.events ?? []) if (isUsers(event)) this.#listeners.tell("user", { event });
  }

  /** @param {Room} room */
  async #join(room) {
    const epoch = room.epoch === null ? {} : { epoch: room.epoch };
    const since = room.seq === null ? {} : { since: room.seq, ...epoch };
    try {
      const reply = await this.#connection.request("join", { room: room.id, lane: room.lane, ...since });
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
    if (room.seq === null || gap) {
      room.seq = reply.room.seq;
      room.epoch = reply.room.epoch ?? null;
    }
    room.known = room.joined = true;
    room.attempt = 0;
    this.#listeners.tell("snapshot", { room: room.id, snapshot: reply.room, gap, first });
    this.#changed();
  }

  /** @param {Room} room @param {GiftingError} error */
  #refused(room, error) {
    this.#listeners.tell("refused", { room: room.id, error });
    if (!error.temporary && error.code !== ROOM_NOT_FOUND) return;
    const again = () => this.#connection.state === "connected" && this.#rooms.get(room.id) === room && this.#join(room);
    room.timer = setTimeout(again, backoff(room.attempt++));
  }
}

/**
 * @param {Event} event
 * @returns {event is UserEvent}
 */
function isUsers(event) {
  return event.type in OF_USER;
}
