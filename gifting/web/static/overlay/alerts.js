/** Which gift alerts are on screen: one card per streak, higher coins first. Pure: no DOM, time is an argument. */

export const DEFAULTS = {
  /** Cards on screen at once. */
  visible: 4,
  /** Cards that wait for a place; beyond it the ones of fewest coins are left out. */
  waiting: 50,
  /** A card is shown this long, in ms, before a higher one may take its place. */
  firstLook: 2_500,
  /** A streak's card stays this long after its end. */
  linger: 2_500,
  /** A streak that is silent this long counts as over, should its end never come. */
  silence: 6_000,
  /** Every card is shown at least this long, by tier. */
  hold: { small: 4_000, medium: 5_000, large: 6_500, epic: 9_000 },
};

/**
 * @typedef {object} Card
 * @property {string} key the streak, or the event of a gift outside one
 * @property {object} user
 * @property {object} gift
 * @property {string} message
 * @property {number} count how many so far
 * @property {number} coins worth of all so far
 * @property {boolean} ended
 * @property {number} order of arrival
 * @property {number} heardAt time of its last event
 * @property {number | null} shownAt since when it is on screen
 * @property {boolean} seen whether it ever was
 */

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

  /** Take in an event; all but gifts are ignored. @param {object} event @param {number} now ms */
  push(event, now) {
    if (event.type !== "gift") return;
    const key = event.streak_id ? `streak ${event.streak_id}` : `event ${event.id}`;
    const known = this.#find(key);
    if (known) return void update(known, event, now);
    // The bare end of a streak whose card is gone: its gifts were shown.
    if (event.count === 0) return;
    this.#waiting.push(update(this.#card(key, event), event, now));
    this.#waiting.sort(byCoins);
    this.#waiting.length = Math.min(this.#waiting.length, this.#options.waiting);
  }

  /** Take in the streaks that are going on, from a snapshot. @param {object[]} streaks @param {number} now ms */
  resume(streaks, now) {
    for (const streak of streaks) {
      this.push({ ...streak, type: "gift", count: streak.repeat_count, repeat_end: false }, now);
    }
  }

  /** Move on to `now`. @param {number} now ms @returns {Card[]} what is on screen, in order */
  tick(now) {
    this.#expire(now);
    this.#fill(now);
    this.#promote(now);
    return this.#showing.sort(byCoins);
  }

  /** When `tick` has something to do next; Infinity if only an event can change anything. */
  nextAt() {
    const ends = this.#showing.map((card) => this.#until(card));
    const most = this.#waiting[0]?.coins ?? 0;
    const lower = this.#showing.filter((card) => card.coins < most);
    return Math.min(...ends, ...lower.map((card) => card.shownAt + this.#options.firstLook));
  }

  #find(key) {
    return this.#showing.find((card) => card.key === key) ?? this.#waiting.find((card) => card.key === key);
  }

  #card(key, { user, gift }) {
    const nothing = { message: "", count: 0, coins: 0, ended: false, heardAt: 0, shownAt: null, seen: false };
    return { key, user, gift, order: this.#arrived++, ...nothing };
  }

  #until(card) {
    const rest = card.ended ? this.#options.linger : this.#options.silence;
    const hold = this.#options.hold[card.gift.tier] ?? this.#options.hold.small;
    return Math.max(card.heardAt + rest, card.shownAt + hold);
  }

  #expire(now) {
    const over = (card) => card.ended || now - card.heardAt >= this.#options.silence;
    this.#showing = this.#showing.filter((card) => now < this.#until(card));
    this.#waiting = this.#waiting.filter((card) => !(card.seen && over(card))).sort(byCoins);
  }

  #fill(now) {
    const free = this.#options.visible - this.#showing.length;
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

/** `repeat_count` is cumulative, so a step that came late or never changes nothing. */
function update(card, event, now) {
  card.count = Math.max(card.count, event.repeat_count ?? event.count ?? 1);
  card.coins = card.count * (event.gift?.coins ?? card.gift.coins);
  card.message = event.message || card.message;
  card.ended ||= event.repeat_end !== false;
  card.heardAt = now;
  return card;
}
