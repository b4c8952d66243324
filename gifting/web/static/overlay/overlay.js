/** Gift alerts for a browser source: /overlay#token=…[&debug] (or, of an overlay token, /overlay?token=…) */

import { Alerts } from "./alerts.js";
import { avatar, calm, coins, el, glide, nameOf, number, picture, pop, typed } from "../dom.js";
import { GiftingClient } from "../lib/gifting.js";
import { claims, takeToken } from "../lib/keys.js";

/** Long enough that a burst is drawn once, short enough to look immediate. */
const DRAW_PAUSE = 40;
const LEAVE_TIME = 320;
/** What came longer ago than this, in ms, is no news any more: it is not shown after an absence or a reload. */
const NEWS = 120_000;
/** Under this many pixels for each card, fewer are shown: the first of them would be cut off. */
const CARD_HEIGHT = 96;
const VISIBLE = 4;
const SAVED = "gifting.alerts:";

const debug = /[?&#]debug\b/.test(location.search + location.hash);
const token = takeToken((asked) => claims(asked).role === "overlay");
const room = claims(token).room ?? "";
/** @type {HTMLElement} */
const list = document.querySelector("#alerts");
/** @type {HTMLElement} */
const status = document.querySelector("#status");
/** @type {HTMLElement} */
const notice = document.querySelector("#notice");
const alerts = new Alerts();
/** The parts of a card that change. @typedef {Record<"node" | "combo" | "worth" | "message", HTMLElement>} Parts */
/** @type {Map<string, Parts & {count: number}>} */
const drawn = new Map();
/** Addresses of pictures of the catalog. @type {Set<string>} */
const fetched = new Set();
let timer = 0;
let drawsAt = Infinity;

function drawBy(time) {
  if (time >= drawsAt) return;
  clearTimeout(timer);
  drawsAt = time;
  timer = setTimeout(draw, Math.max(0, time - performance.now()));
}

function draw() {
  drawsAt = Infinity;
  const now = performance.now();
  const cards = alerts.tick(now);
  glide(list, () => {
    removeAllBut(new Set(cards.map((card) => card.key)));
    cards.forEach((card, index) => place(card, index));
  });
  const next = alerts.nextAt();
  if (next < Infinity) drawBy(Math.max(next, now + DRAW_PAUSE));
}

function place(card, index) {
  const shown = drawn.get(card.key) ?? build(card);
  update(shown, card);
  const staying = list.querySelectorAll(":scope > :not(.leaving)");
  if (staying[index] !== shown.node) list.insertBefore(shown.node, staying[index] ?? null);
}

function build(card) {
  const { user, gift } = card;
  const combo = el("output", "combo");
  const worth = el("span", "worth");
  const message = typed("p", "message", "");
  const what = el("p", "what", "sent ", [typed("b", "gift-name", gift.name), worth]);
  const text = el("div", "text", "", [typed("p", "name", nameOf(user)), what, message]);
  const image = picture(gift.image, "gift", el("span", "gift", "🎁"));
  const node = el("li", `card ${tierClass(gift.tier)}`, "", [avatar(user), text, image, combo]);
  node.dataset.key = card.key;
  const shown = { node, combo, worth, message, count: 0 };
  drawn.set(card.key, shown);
  return shown;
}

function update(shown, card) {
  if (shown.message.textContent !== card.message) shown.message.textContent = card.message;
  if (shown.count === card.count) return;
  shown.combo.textContent = `×${number(card.count)}`;
  shown.combo.hidden = card.count === 1;
  shown.worth.textContent = coins(card.coins);
  if (shown.count) pop(shown.combo);
  shown.count = card.count;
}

function removeAllBut(keys) {
  for (const [key, { node }] of drawn) {
    if (keys.has(key)) continue;
    drawn.delete(key);
    node.classList.add("leaving");
    setTimeout(() => glide(list, () => node.remove()), calm.matches ? 0 : LEAVE_TIME);
  }
}

/** The tier becomes a class name, so only the known ones may pass. */
function tierClass(tier) {
  return ["small", "medium", "large", "epic"].includes(tier) ? `tier-${tier}` : "tier-small";
}

function tell(state, reason) {
  status.className = state;
  status.textContent = reason ? `${state}: ${reason}` : state;
  if (reason) console.warn(`gifting overlay: ${status.textContent}`);
}

/** What only the streamer can mend is said on the stream: a blank page would look like one without gifts. */
function say(text) {
  notice.textContent = text;
  notice.hidden = !text;
}

function onState({ state, reason }) {
  tell(state, reason);
  if (state === "closed") say(`Gift alerts are off: this link no longer works (${reason.replace(/\.$/, "")}). Make a new one and put it into this source.`);
}

function onEvent(client, event) {
  if (client.now() - event.ts > NEWS) return;
  const now = performance.now();
  alerts.push(event, now);
  fetchPicture(event.gift?.image);
  drawBy(now + DRAW_PAUSE);
}

/** Its picture is there when a card's turn comes, whatever happens to the server until then. */
function fetchPicture(address) {
  if (!address || fetched.has(address)) return;
  fetched.add(address);
  picture(address, "", el("span"));
}

/** What is still to be shown survives a reload of the page, in this tab only: another one shows its own. */
function save(client) {
  const kept = { seq: client.seq(room), epoch: client.epoch(room), at: Date.now(), cards: alerts.save(performance.now()) };
  sessionStorage.setItem(SAVED + room, JSON.stringify(kept));
}

/** @returns {{since: number | null, epoch: number | null}} up to where events were taken in before a reload */
function restore() {
  const { seq = null, epoch = null, at = 0, cards = [] } = JSON.parse(sessionStorage.getItem(SAVED + room) ?? "{}");
  sessionStorage.removeItem(SAVED + room);
  const ago = Date.now() - at;
  if (!(ago >= 0 && ago < NEWS)) return { since: null, epoch: null };
  alerts.restore(cards, performance.now(), ago);
  return { since: seq, epoch };
}

function fit() {
  alerts.visible = Math.min(VISIBLE, Math.max(1, Math.floor(innerHeight / CARD_HEIGHT)));
  drawBy(performance.now());
}

function start() {
  status.hidden = !debug;
  if (!room) {
    tell("closed", "the address needs #token= with an overlay token");
    return say("Gift alerts are off: this source's address is not whole. Copy the overlay's link once more.");
  }
  const client = new GiftingClient({ token, rooms: [{ room, lane: "all", ...restore() }] });
  client.on("event", ({ event }) => onEvent(client, event));
  client.on("snapshot", ({ snapshot, gap, first }) => {
    if (gap || first) alerts.resume(snapshot.streaks ?? [], performance.now());
    tell("joined", "");
    drawBy(performance.now());
  });
  client.on("refused", ({ error }) => tell("refused", error.message));
  client.on("state", onState);
  addEventListener("resize", fit);
  addEventListener("pagehide", () => save(client));
  fit();
  client.connect();
}

start();
