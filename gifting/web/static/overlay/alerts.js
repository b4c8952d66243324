/** Which gift alerts are on screen: one card per streak, higher coins first. Pure: no DOM, time is an argument. */

/** @import { Event, GiftEvent } from "../lib/protocol.js" */

export const DEFAULTS = {
  /** Cards on screen at once. */
  visible: 4,
  /** Cards that wait for a place; beyond it the ones of fewest coins are left out. */
  waiting: 24,
  /** A card waits this long for its place, in ms after its last event, by tier; then it is left out. */
  patience: { small: 8_000, medium: 12_000, large: 30_000, epic: 60_000 },
  /** A card is shown this long before a higher one may take its place. */
  firstLook: 2_500,
  /** A streak's card stays this long after its end. */
  linger: 2_500,
  /** A streak that is silent this long counts as over, should its end never come. */
  silence: 6_000,
  /** Every card is shown at least this long while nothing waits, by tier. */
  hold: { small: 4_000, medium: 5_000, large: 6_500, epic: 9_000 },
  /** What is over makes room for what waits after this long, by tier. */
  brief: { small: 2_500, medium: 3_000, large: 4_500, epic: 7_000 },
};

/**
 * @typedef {object} Card
 * @property {string} key the streak; of gifts that make none, the sender and the gift
 * @property {object} user
 * @property {object} gift
 * @property {string} message
 * @property {string} saidIn the event that brought it
 * @property {number} count how many so far
 * @property {number} coins worth of all so far
 * @property {boolean} ended
 * @property {number} order of arrival
 * @property {number} heardAt time of its last event
 * @property {number | null} shownAt since when it is on screen
 * @property {boolean} seen whether it ever was
 */

/** A card put by: `age` is the time since its last event. @typedef {Omit<Card, "heardAt"> & {age: number}} Saved */

/** Higher coins first, then the one that came first. @param {Card} a @param {Card} b */
function byCoins(a, b) {
  return b.coins - a.coins || a.order - b.order;
}

export class Alerts {
  /** @type {Card[]} */
  #showing = [];
  /** @type {Card[]} */
  #waiting = [];
  #arrived = 0;
  #options;

  constructor(options = {}) {
    this.#options = { ...DEFAULTS, ...options };
  }

  /** How many cards have a place; those on screen that have none any more leave when their time is over. */
  set visible(count) {
    this.#options.visible = count;
  }

  /** Take in an event; all but gifts, and what removes their words, are ignored. @param {Event} event @param {number} now ms */
  push(event, now) {
    if (event.type === "comment_removed") return this.#unsay(event.comment_id);
    if (event.type !== "gift") return;
    const key = keyOf(event);
    const known = this.#find(key);
    if (known) return void update(known, event, now);
    // The bare end of a streak whose card is gone: its gifts were shown.
    if (event.count === 0) return;
    this.#wait(update(this.#card(key, event), event, now));
  }

  /** Take in the streaks that are going on, from a snapshot. @param {GiftEvent[]} streaks @param {number} now ms */
  resume(streaks, now) {
    for (const streak of streaks) {
      this.push({ ...streak, type: "gift", count: streak.repeat_count, repeat_end: false }, now);
    }
  }

  /** Move on to `now`. @param {number} now ms @returns {Card[]} what is on screen, in order */
  tick(now) {
    this.#expire(now);
    this.#makeRoom(now);
    this.#fill(now);
    this.#promote(now);
    return this.#showing.sort(byCoins);
  }

  /** When `tick` has something to do next; Infinity if only an event can change anything. */
  nextAt() {
    const ends = this.#showing.map((card) => this.#until(card));
    const most = this.#waiting[0]?.coins ?? 0;
    const lower = this.#showing.filter((card) => card.coins < most).map((card) => card.shownAt + this.#options.firstLook);
    const over = this.#waiting.length ? this.#showing.filter((card) => card.ended).map((card) => this.#yieldsAt(card)) : [];
    return Math.min(...ends, ...lower, ...over);
  }

  /** What is still to be shown, or was for less than a first look: to be put by for a reload. @param {number} now ms @returns {Saved[]} */
  save(now) {
    const brief = this.#showing.filter((card) => now - card.shownAt < this.#options.firstLook);
    const unseen = this.#waiting.filter((card) => !card.seen);
    return [...brief, ...unseen].map(({ heardAt, ...card }) => ({ ...card, age: now - heardAt, shownAt: null, seen: false }));
  }

  /** Take in what was saved `ago` ms before `now`. @param {Saved[]} saved @param {number} now ms */
  restore(saved, now, ago = 0) {
    for (const { age, ...card } of saved) this.#wait({ ...card, order: this.#arrived++, heardAt: now - age - ago });
  }

  #wait(card) {
    this.#waiting.push(card);
    this.#waiting.sort(byCoins);
    this.#waiting.length = Math.min(this.#waiting.length, this.#options.waiting);
  }

  /** What was said in an event is removed: the card stays. */
  #unsay(id) {
    for (const card of [...this.#showing, ...this.#waiting]) if (card.saidIn === id) card.message = "";
  }

  #find(key) {
    return this.#showing.find((card) => card.key === key) ?? this.#waiting.find((card) => card.key === key);
  }

  #card(key, { user, gift }) {
    const nothing = { message: "", saidIn: "", count: 0, coins: 0, ended: false, heardAt: 0, shownAt: null, seen: false };
    return { key, user, gift, order: this.#arrived++, ...nothing };
  }

  #until(card) {
    const rest = card.ended ? this.#options.linger : this.#options.silence;
    return Math.max(card.heardAt + rest, card.shownAt + byTier(this.#options.hold, card));
  }

  #yieldsAt(card) {
    return card.shownAt + byTier(this.#options.brief, card);
  }

  #expire(now) {
    const over = (card) => card.ended || now - card.heardAt >= this.#options.silence;
    const late = (card) => now - card.heardAt > byTier(this.#options.patience, card);
    this.#showing = this.#showing.filter((card) => now < this.#until(card));
    this.#waiting = this.#waiting.filter((card) => !(card.seen ? over(card) : late(card))).sort(byCoins);
  }

  /** Those that are over make room for as many as wait, the ones of fewest coins first. */
  #makeRoom(now) {
    const ready = this.#showing.filter((card) => card.ended && now >= this.#yieldsAt(card)).sort(byCoins);
    const wanted = this.#waiting.length - (this.#options.visible - this.#showing.length);
    const leaving = new Set(wanted > 0 ? ready.slice(-wanted) : []);
    this.#showing = this.#showing.filter((card) => !leaving.has(card));
  }

  #fill(now) {
    const free = Math.max(0, this.#options.visible - this.#showing.length);
    for (const card of this.#waiting.splice(0, free)) this.#show(card, now);
  }

  /** Without this, a few endless cheap streaks would keep everything else off the screen. */
  #promote(now) {
    for (;;) {
      const [best] = this.#waiting;
      const ripe = this.#showing.filter((card) => now - card.shownAt >= this.#options.firstLook);
      const lowest = ripe.sort(byCoins).at(-1);
      if (!best || !lowest || best.coins <= lowest.coins) return;
      this.#waiting.shift();
      this.#showing.splice(this.#showing.indexOf(lowest), 1);
      if (!lowest.ended) this.#waiting.push({ ...lowest, shownAt: null });
      this.#waiting.sort(byCoins);
      this.#show(best, now);
    }
  }

  #show(card, now) {
    card.shownAt = now;
    card.seen = true;
    this.#showing.push(card);
  }
}

/** Gifts that make no streak would each be a card of its own: of one sender and gift they are one. */
function keyOf({ gift, streak_id: streak, user }) {
  return isSingle(gift) ? `gift ${user?.id} ${gift.id}` : `streak ${streak}`;
}

function isSingle(gift) {
  return gift.streakable === false;
}

function byTier(times, card) {
  return times[card.gift.tier] ?? times.small;
}

/** A streak's `repeat_count` is cumulative, so a step that came late or never changes nothing. */
function update(card, event, now) {
  card.count = isSingle(card.gift) ? card.count + event.count : Math.max(card.count, event.repeat_count ?? event.count ?? 1);
  card.coins = card.count * (event.gift?.coins ?? card.gift.coins);
  if (event.message) Object.assign(card, { message: event.message, saidIn: event.id });
  card.ended ||= event.repeat_end !== false;
  card.heardAt = now;
  return card;
}
