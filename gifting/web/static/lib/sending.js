/** A gift on its way: said again with its key until what became of it is certain, or the time is over. */

/** @import { GiftReply, GiftStatusReply, Replies } from "./protocol.js" */

import { backoff, GiftingError, refusal } from "./connection.js";

const GIFT_REPLY = 8_000;
const STATUS_REPLY = 2_000;
const RETRY_FIRST = 250;
const RETRY_LONGEST = 5_000;
/** Errors that do not say whether the gift was charged: the reply is missing, or says so itself. */
const TELLS_NOTHING = new Set(["disconnected", "timeout", "outcome_unknown", "internal"]);
/** After these nothing more can be asked. */
const DENIED = new Set(["forbidden", "bad_token", "token_expired", "token_revoked"]);
/** Refusals that stand for themselves, even if the key was used before: none of them says to make a new one. */
const LIMITED = new Set(["bad_key", "rate_limited", "overloaded", "too_many_pending"]);
const RESULT = new Set(["seq", "event_id", "coins", "repeat_count", "streak_id", "pending"]);
/** How often somebody is asked about one gift: a confirmation may be too late, or the price another by then. */
const ASKED_MAX = 3;
const NOT_CHARGED = "Nothing was charged, and by this key nothing can be any more: a new key is safe.";

/**
 * Asks whether a gift is meant that the server wants confirmed.
 * @typedef {(error: GiftingError) => boolean | Promise<boolean>} Confirm
 */

/**
 * @typedef {object} Way how the gift travels
 * @property {(deadline: number) => Promise<void>} ready waits for the room
 * @property {<Op extends keyof Replies>(op: Op, fields: object, timeout: number) => Promise<Replies[Op]>} request
 * @property {() => string} newKey
 * @property {Confirm} [confirm]
 */

/**
 * The reply to a gift. Some of it is forgotten, by and by, of a gift whose reply was lost; with `pending` the gift is
 * paid, and the rest comes with its event.
 * @typedef {Partial<Omit<GiftReply, "duplicate">> & {duplicate: boolean}} Sent
 */

export class Sending {
  #way;
  #fields;
  #used;
  #inDoubt = false;
  #asked = 0;
  #deadline = 0;

  /**
   * It is in doubt as soon as a message may have arrived whose reply did not. From then on no refusal is believed,
   * since the server may have forgotten what it answered first; `gift_status`, which looks into the ledger, decides.
   * @param {Way} way
   * @param {{room: string, gift: string, count: number, key: string, message?: string, anonymous?: boolean, confirm?: string}}
   *   fields an empty key is made late; one that is there may have been sent before
   */
  constructor(way, fields) {
    this.#way = way;
    this.#fields = fields;
    this.#used = Boolean(fields.key);
  }

  get key() {
    return this.#fields.key;
  }

  /**
   * @param {number} tries
   * @param {number} within ms, of which the time to think about a confirmation is none
   * @returns {Promise<Sent>} what the server says of the gift; rejects with a GiftingError
   */
  async finish(tries, within) {
    this.#deadline = performance.now() + within;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#say();
      } catch (error) {
        if (error.code === "confirm_required" && (await this.#isConfirmed(error, within))) continue;
        const pause = backoff(attempt, RETRY_FIRST, RETRY_LONGEST);
        const over = isEnd(error) || attempt + 1 >= tries || performance.now() + pause >= this.#deadline;
        const found = await this.#settle(error, over);
        if (found) return found;
        await sleep(pause);
      }
    }
  }

  async #say() {
    await this.#way.ready(this.#deadline);
    this.#fields.key ||= this.#way.newKey();
    try {
      const left = this.#deadline - performance.now();
      return await this.#way.request("send_gift", this.#fields, Math.min(GIFT_REPLY, left));
    } catch (error) {
      this.#inDoubt ||= TELLS_NOTHING.has(error.code);
      throw error;
    }
  }

  /**
   * Whether the gift is meant: then it is said again with the confirmation, and has its time anew.
   * @param {GiftingError} error
   * @param {number} within
   */
  async #isConfirmed(error, within) {
    this.#asked++;
    if (!this.#way.confirm || this.#asked > ASKED_MAX || !(await this.#way.confirm(error))) return false;
    this.#fields.confirm = error.confirm;
    this.#deadline = performance.now() + within;
    return true;
  }

  /**
   * What became of the gift; null: say it again. Throws what it ends with.
   * @param {GiftingError} error
   * @param {boolean} over
   */
  async #settle(error, over) {
    const final = !error.temporary;
    if (!this.#inDoubt && (!this.#used || LIMITED.has(error.code) || DENIED.has(error.code))) {
      if (final || over) throw error;
      return null;
    }
    const found = final || over ? this.#judge(await this.#ask(), error) : null;
    if (!found && over) throw new GiftingError("outcome_unknown", "It could not be found out whether it was sent.", true);
    return found;
  }

  /**
   * What the ledger knows of the key; nothing if that can't be asked. Asks anew where a connection was lost.
   * @returns {Promise<Partial<GiftStatusReply>>}
   */
  async #ask() {
    const giveUp = performance.now() + STATUS_REPLY;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#way.request("gift_status", { key: this.key }, giveUp - performance.now());
      } catch (error) {
        const pause = backoff(attempt, RETRY_FIRST, RETRY_LONGEST);
        const lost = error.code === "disconnected" && error.temporary;
        if (!lost || performance.now() + pause >= giveUp) return {};
        await sleep(pause);
      }
    }
  }

  /**
   * @param {Partial<GiftStatusReply>} status
   * @param {GiftingError} error
   * @returns {Sent | null}
   */
  #judge(status, error) {
    const { room, gift, count } = this.#fields;
    if (status.state === "accepted") {
      if (status.room !== room || status.gift !== gift || status.count !== count) {
        throw new GiftingError("key_reused", "This key was used for something else.", false);
      }
      const known = Object.entries(status).filter(([name]) => RESULT.has(name));
      return { ...Object.fromEntries(known), duplicate: true };
    }
    const refused = status.state === "refused" ? status.error : undefined;
    if (status.state === "unknown" || refused?.code === "key_expired") {
      throw new GiftingError("not_charged", NOT_CHARGED, false);
    }
    if (refused) throw refusal({ ...refused, temporary: false });
    if (status.state === "open" && !this.#inDoubt) throw error;
    return null;
  }
}

/** Whether trying on is no use: the token is refused, or the connection was closed for good. @param {GiftingError} error */
function isEnd(error) {
  return DENIED.has(error.code) || (error.code === "disconnected" && !error.temporary);
}

/** @param {number} pause ms */
function sleep(pause) {
  return new Promise((resolve) => setTimeout(resolve, pause));
}
