/** A viewer's page: /rooms/{room}#token=… */

/** @import { GiftingError } from "../lib/gifting.js" */

import { Api } from "../ask.js";
import { ask } from "../dialog.js";
import { coins, pop } from "../dom.js";
import { at } from "../lib/base.js";
import { GiftingClient } from "../lib/gifting.js";
import { claims, takeToken } from "../lib/keys.js";
import { money } from "../money.js";
import { words } from "../words.js";
import { Feed, showBalance, showGifts, showNotice, showSnapshot, showState, showTotals, Top } from "./room-view.js";
import { Shop } from "./shop.js";

const LIKE_PAUSE = 400;
const LIKES_MAX = 500;
const NOTICE_TIME = { info: 6_000, error: 12_000 };
/** `rank` events tell when others lead; how far they lead is asked for now and then, not by all at once. */
const TOP_PAUSE = 5_000;
/** After a reconnect the balance is asked for within this time, not by all at once. */
const BALANCE_PAUSE = 5_000;

const byId = (id) => document.getElementById(id);
const field = (id) => /** @type {HTMLInputElement} */ (byId(id));
const room = decodeURIComponent(location.pathname.split("/").filter(Boolean).at(-1) ?? "");
const token = takeToken();
const client = new GiftingClient({ token, rooms: [{ room, lane: "live" }] });
const api = new Api(token);
const shop = new Shop(/** @type {HTMLDialogElement} */ (byId("shop")), api, claims(token), () => client.now());
const feed = new Feed();
const top = new Top();
/** Gifts of unknown outcome, by gift. @type {Map<string, {key: string, note: string, anonymous: boolean}>} */
const unsure = new Map();
let ended = false;
let likes = 0;
let noticeTimer = 0;
/** What the notice tells is over once there is a connection. */
let tellsOfConnection = false;
let topTimer = 0;
let coinsSeen = 0;
let balancesSeen = 0;

/** Show a passing notice. @param {string} text @param {"error" | "info"} kind */
function say(text, kind = "error") {
  stay(text, kind);
  noticeTimer = setTimeout(() => showNotice(""), NOTICE_TIME[kind]);
}

/** Show a notice that stays. @param {string} text @param {"error" | "info"} kind */
function stay(text, kind = "error") {
  clearTimeout(noticeTimer);
  tellsOfConnection = false;
  showNotice(text, kind);
}

/** Show what is wrong with the connection, until there is one. @param {string} text @param {"error" | "info"} kind */
function stayUntilConnected(text, kind = "error") {
  stay(text, kind);
  tellsOfConnection = true;
}

function onEvent({ event }) {
  if (event.type === "viewers") return showTotals({ viewers: event.count });
  if (event.type === "rank") return top.merge(event.top);
  if (event.type === "stream_end") return end();
  return feed.add(event);
}

function onSnapshot({ snapshot, gap, first }) {
  showSnapshot(snapshot);
  top.reset(snapshot.top);
  coinsSeen = snapshot.coins;
  if (gap && !first) say("You were away for long; some of the feed is missing.", "info");
  else if (tellsOfConnection && !ended) stay("");
  if (!first) setTimeout(() => askBalance().catch(() => {}), BALANCE_PAUSE * Math.random());
  if (snapshot.state === "ended") end();
  else if (!ended) showState("live");
}

function onTotals({ totals }) {
  showTotals(totals);
  if (totals.coins === coinsSeen) return;
  coinsSeen = totals.coins;
  topTimer ||= setTimeout(refreshTop, TOP_PAUSE * (1 + 2 * Math.random()));
}

async function refreshTop() {
  topTimer = 0;
  if (document.hidden) return;
  try {
    top.reset((await api.get(`/v1/rooms/${encodeURIComponent(room)}/top`)).top);
  } catch {
    // The next change asks again.
  }
}

function end() {
  ended = true;
  showState("ended");
  stay("This stream has ended. Thank you for watching!", "info");
  const active = /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("main button:not(.own button)"));
  for (const control of active) control.disabled = true;
  for (const input of document.querySelectorAll("input")) input.disabled = true;
}

function onState({ state }) {
  if (ended || state === "connected") return;
  showState(state === "closed" ? "offline" : state);
  if (state === "closed") stayUntilConnected(words({ code: "bad_token" }));
  if (state === "reconnecting") stayUntilConnected("The connection was lost. Trying again…", "info");
}

function onRefused({ error }) {
  if (error.code === "room_ended") return end();
  showState("offline");
  return stayUntilConnected(words(error));
}

/**
 * The key is made per press, so every press is one gift, and a retry of it is not another. After a gift of which nobody
 * knows whether it was sent, the next press of the same gift asks about that one, by its key.
 */
async function sendGift(gift, button) {
  const fresh = { key: "", note: field("note").value.trim(), anonymous: field("anonymous").checked };
  const { key, note, anonymous } = unsure.get(gift.id) ?? fresh;
  unsure.delete(gift.id);
  if (!key) field("note").value = "";
  pop(button);
  try {
    const confirm = (error) => isMeant(gift, error);
    const reply = await client.sendGift(room, gift.id, 1, note, { key, anonymous, confirm });
    if (reply.coins !== undefined) tellBalance(reply.coins);
    if (key) say(`The ${gift.name} was sent, and paid once.`, "info");
  } catch (error) {
    if (error.code === "outcome_unknown") return keepUnsure(gift, { key: error.key, note, anonymous });
    field("note").value ||= note;
    if (error.code === "confirm_required") return;
    say(words(error));
    if (error.code === "insufficient_coins") shop.open(words(error));
  }
}

/**
 * A gift that is large, or the first: is it meant?
 * @param {import("../lib/protocol.js").GiftInfo} gift
 * @param {GiftingError} error
 */
function isMeant(gift, { price }) {
  const costs = price ? `${coins(gift.coins)}, ${money(price.amount, price.currency)} at most by what coins cost here now` : coins(gift.coins);
  const lines = [`You are about to send ${gift.name}. It costs ${costs}. A gift that is sent can't be taken back.`];
  return ask({ title: `Send ${gift.name}?`, lines, yes: `Send for ${coins(gift.coins)}` });
}

function tellBalance(coins) {
  balancesSeen++;
  showBalance(coins);
}

/** An answer that was overtaken by news of the balance is older than these. */
async function askBalance() {
  const { sub, role } = claims(token);
  if (!sub || role === "overlay") return;
  const seen = balancesSeen;
  const { coins } = await api.get(`/v1/users/${encodeURIComponent(sub)}/wallet`);
  if (seen === balancesSeen) tellBalance(coins);
}

/** What concerns the viewer and no room. */
function onUser({ event }) {
  if (event.type === "wallet") tellBalance(event.coins);
  if (event.type === "budget") say(`You have reached ${event.percent} % of a limit of your spending.`, "info");
  if (event.type === "reminder") {
    say(`You have given ${event.coins} coins in the last ${event.minutes} minutes.`, "info");
  }
  if (event.type === "destination") {
    const from = new Date(event.good_at).toLocaleString();
    stay(`From ${from} on your money goes to the account …${event.ending} (${event.provider}). ${event.help}`, "info");
  }
}

function keepUnsure(gift, what) {
  unsure.set(gift.id, what);
  stay(`Nobody knows yet whether the ${gift.name} was sent. Press it again to find out; it is paid once at most.`);
}

async function comment(submit) {
  submit.preventDefault();
  const text = field("text").value.trim();
  if (!text) return;
  try {
    const { held } = await client.request("comment", { room, text });
    field("text").value = "";
    if (held) say("Your comment waits until the host has seen it.", "info");
  } catch (error) {
    say(words(error));
  }
}

/** Presses are folded: many quick ones are one message. */
function like() {
  pop(byId("like"));
  likes = Math.min(likes + 1, LIKES_MAX);
  if (likes === 1) setTimeout(sendLikes, LIKE_PAUSE);
}

async function sendLikes() {
  const count = likes;
  likes = 0;
  try {
    await client.request("like", { room, count });
  } catch (error) {
    say(words(error));
  }
}

async function load() {
  try {
    const [{ gifts }] = await Promise.all([api.get("/v1/catalog"), shop.load()]);
    showGifts(gifts, shop.prices, sendGift);
    await Promise.all([askBalance(), tellPurchase()]);
  } catch (error) {
    say(words(error));
  }
}

/** Back from a checkout: what came of it. The coins themselves come as news of the balance. */
async function tellPurchase() {
  const told = await shop.outcome();
  if (told) say(told, "info");
}

/** Another page of this viewer, which leads back here. @param {string} page */
function goTo(page) {
  location.assign(at(`/${page}?room=${encodeURIComponent(room)}#token=${token}`));
}

function start() {
  byId("talk").addEventListener("submit", comment);
  byId("like").addEventListener("click", like);
  byId("buy").addEventListener("click", () => shop.open());
  for (const page of ["purchases", "limits"]) byId(page).addEventListener("click", () => goTo(page));
  if (!token) return stay("This link is not whole. Open the stream again from where you came.");
  client.on("event", onEvent);
  client.on("snapshot", onSnapshot);
  client.on("totals", onTotals);
  client.on("user", onUser);
  client.on("state", onState);
  client.on("refused", onRefused);
  client.connect();
  return load();
}

start();
