/** What the room page shows. Knows nothing of the network. */

/** @import { Event } from "../lib/protocol.js" */

import { avatar, brief, coins, diamonds, el, nameOf, number, picture, pop, typed } from "../dom.js";

/** Lines that are kept; and while somebody reads further up, so that what is read stays. */
const FEED_MAX = 120;
const FEED_HELD_MAX = 600;
/** Who is less than so many pixels above the newest line, is at it. */
const AT_END = 60;
const TOP_MAX = 10;
const VERBS = { share: "shared the stream", follow: "followed the host", member: "joined" };

const byId = (id) => document.getElementById(id);

function put(id, text) {
  const node = byId(id);
  if (node.textContent !== text) node.textContent = text;
}

export function showSnapshot(snapshot) {
  put("title", snapshot.title || "Live room");
  put("host", nameOf(snapshot.host));
  document.title = snapshot.title || "Live room";
  showTotals(snapshot);
}

/** @param {{coins?: number, diamonds?: number, likes?: number, viewers?: number}} totals */
export function showTotals(totals) {
  for (const name of ["coins", "likes", "viewers"]) {
    if (totals[name] !== undefined) put(name, brief(totals[name]));
  }
  if (totals.diamonds !== undefined) put("diamonds", brief(diamonds(totals.diamonds)));
}

/** A line above everything; empty text takes it away. @param {"error" | "info"} kind */
export function showNotice(text, kind = "error") {
  const notice = byId("notice");
  notice.className = kind;
  notice.textContent = text;
  notice.hidden = !text;
}

/** @param {"live" | "reconnecting" | "connecting" | "ended" | "offline"} state */
export function showState(state) {
  put("live", state);
  byId("live").className = `badge ${state}`;
}

/** @param {number} balance in coins */
export function showBalance(balance) {
  put("balance", `${coins(balance)} left`);
}

export class Top {
  /** @type {Map<string, import("../lib/protocol.js").Ranked>} */
  #users = new Map();

  reset(top) {
    this.#users.clear();
    this.merge(top);
  }

  /** A change of rank may name only the first few; the others keep what is known of them. */
  merge(top) {
    for (const entry of top ?? []) this.#users.set(entry.user.id, entry);
    const best = [...this.#users.values()].sort((a, b) => b.coins - a.coins).slice(0, TOP_MAX);
    this.#users = new Map(best.map((entry) => [entry.user.id, entry]));
    const rows = best.map(({ user, coins: given }) =>
      el("li", "", "", [avatar(user), typed("span", "who", nameOf(user)), el("span", "given", number(given))]),
    );
    byId("top").replaceChildren(...(rows.length ? rows : [el("li", "empty", "Nobody yet. Be the first!")]));
  }
}

export class Feed {
  #box = byId("feed");
  #list = byId("lines");
  #newest = byId("newest");
  /** Lines of streaks that go on, to be counted up in place. @type {Map<string, HTMLElement>} */
  #streaks = new Map();

  constructor() {
    this.#newest.addEventListener("click", () => this.#toEnd());
    this.#box.addEventListener("scroll", () => this.#atEnd() && (this.#newest.hidden = true), { passive: true });
  }

  /** @param {Event} event */
  add(event) {
    if (event.type === "gift") return this.#gift(event);
    if (event.type === "comment") return event.text ? this.#comment(event) : undefined;
    if (event.type === "comment_removed") return this.#unsay(event.comment_id);
    if (event.type === "like") {
      return this.#line("quiet", [el("span", "", `♥ ${number(event.count)} ${event.count === 1 ? "like" : "likes"}`)]);
    }
    if (VERBS[event.type]) return this.#line("quiet", [who(event), el("span", "", VERBS[event.type])]);
    return undefined;
  }

  #comment(event) {
    const line = this.#line("comment", [avatar(event.user), el("div", "body", "", [who(event), typed("span", "said", event.text)])]);
    line.dataset.event = event.id;
  }

  /** A comment goes; of a gift only what was said with it. */
  #unsay(id) {
    for (const line of /** @type {HTMLElement[]} */ ([...this.#list.children])) {
      if (line.dataset.event !== id) continue;
      if (line.classList.contains("comment")) line.remove();
      else line.querySelector(".said")?.remove();
    }
  }

  #gift(event) {
    const known = this.#streaks.get(event.streak_id);
    const line = known ?? (event.count ? this.#giftLine(event) : null);
    if (!line) return;
    /** @type {HTMLElement} */
    const counter = line.querySelector(".times");
    const text = `×${number(event.repeat_count)}`;
    if (known && counter.textContent !== text) pop(counter);
    counter.textContent = text;
    counter.hidden = event.repeat_count === 1;
    if (event.repeat_end) this.#streaks.delete(event.streak_id);
    else this.#streaks.set(event.streak_id, line);
  }

  #giftLine(event) {
    const image = picture(event.gift.image, "gift", el("span", "gift", "🎁"));
    const what = el("span", "what", "sent ", [typed("b", "", event.gift.name), image, el("b", "times")]);
    const body = el("div", "body", "", [who(event), what]);
    if (event.message) body.append(typed("p", "said", event.message));
    const line = this.#line("gift-line", [avatar(event.user), body]);
    line.dataset.event = event.id;
    return line;
  }

  #line(kind, children) {
    const following = this.#atEnd();
    const line = el("li", kind, "", children);
    this.#list.append(line);
    this.#trim(following ? FEED_MAX : FEED_HELD_MAX);
    for (const [streak, old] of this.#streaks) if (!old.isConnected) this.#streaks.delete(streak);
    if (following) this.#toEnd();
    else this.#newest.hidden = false;
    return line;
  }

  /** The oldest lines go; what is being read stays where it is on screen. */
  #trim(most) {
    const before = this.#box.scrollHeight;
    while (this.#list.children.length > most) this.#list.firstElementChild.remove();
    const gone = before - this.#box.scrollHeight;
    if (gone) this.#box.scrollTop -= gone;
  }

  #atEnd() {
    return this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight < AT_END;
  }

  #toEnd() {
    this.#box.scrollTop = this.#box.scrollHeight;
    this.#newest.hidden = true;
  }
}

function who(event) {
  return typed("b", "who", nameOf(event.user));
}

/**
 * The shelf of gifts, each with what it costs in money, where that is known.
 * @param {import("../lib/protocol.js").GiftInfo[]} gifts
 * @param {Map<string, string>} prices
 * @param {(gift: import("../lib/protocol.js").GiftInfo, button: HTMLButtonElement) => void} send
 */
export function showGifts(gifts, prices, send) {
  const buttons = gifts.map((gift) => {
    const price = prices.get(gift.id);
    const button = el("button", "", "", [
      picture(gift.image, "gift", el("span", "gift", "🎁")),
      typed("span", "gift-name", gift.name),
      el("span", "price", number(gift.coins)),
      ...(price ? [el("span", "money", price)] : []),
    ]);
    button.type = "button";
    button.title = [gift.name, coins(gift.coins), ...(price ? [price] : [])].join(", ");
    button.dataset.gift = gift.id;
    button.addEventListener("click", () => send(gift, button));
    return button;
  });
  byId("gifts").replaceChildren(...buttons);
}
