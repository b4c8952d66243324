/** A viewer's page: /rooms/{room}#token=… */

import { at } from "../lib/base.js";
import { pop } from "../dom.js";
import { GiftingClient, GiftingError } from "../lib/gifting.js";
import { claims, takeToken } from "../lib/keys.js";
import { words } from "./words.js";
import { Feed, showBalance, showGifts, showNotice, showSnapshot, showState, showTotals, Top } from "./room-view.js";

const LIKE_PAUSE = 400;
const LIKES_MAX = 500;
const NOTICE_TIME = 6_000;
/** `rank` events tell when others lead; how far they lead is asked for now and then, not by all at once. */
const TOP_PAUSE = 5_000;
/** After a reconnect the balance is asked for within this time, not by all at once. */
const BALANCE_PAUSE = 5_000;

const byId = (id) => document.getElementById(id);
const field = (id) => /** @type {HTMLInputElement} */ (byId(id));
const room = decodeURIComponent(location.pathname.split("/").filter(Boolean).at(-1) ?? "");
const token = takeToken();
const client = new GiftingClient({ token, rooms: [{ room, lane: "live" }] });
const feed = new Feed();
const top = new Top();
/** Gifts of unknown outcome, by gift. @type {Map<string, {key: string, note: string}>} */
const unsure = new Map();
let ended = false;
let likes = 0;
let noticeTimer = 0;
let topTimer = 0;
let coinsSeen = 0;
let balancesSeen = 0;

/** Show a passing notice. @param {string} text @param {"error" | "info"} kind */
function say(text, kind = "error") {
  clearTimeout(noticeTimer);
  showNotice(text, kind);
  noticeTimer = setTimeout(() => showNotice(""), NOTICE_TIME);
}

/** Show a notice that stays. @param {string} text @param {"error" | "info"} kind */
function stay(text, kind = "error") {
  clearTimeout(noticeTimer);
  showNotice(text, kind);
}

async function get(path) {
  const reply = await fetch(at(path), { headers: token ? { Authorization: `Bearer ${token}` } : {} });
  const body = await reply.json();
  if (!reply.ok) throw new GiftingError(body.code ?? "", body.detail ?? "", body.temporary ?? reply.status >= 500);
  return body;
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
  else if (!ended) stay("");
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
    top.reset((await get(`/v1/rooms/${encodeURIComponent(room)}/top`)).top);
  } catch {
    // The next change asks again.
  }
}

function end() {
  ended = true;
  showState("ended");
  stay("This stream has ended. Thank you for watching!", "info");
  for (const control of document.querySelectorAll("button")) control.disabled = true;
  for (const input of document.querySelectorAll("input")) input.disabled = true;
}

function onState({ state }) {
  if (ended || state === "connected") return;
  showState(state === "closed" ? "offline" : state);
  if (state === "closed") stay(words({ code: "bad_token" }));
  if (state === "reconnecting") stay("The connection was lost. Trying again…", "info");
}

function onRefused({ error }) {
  if (error.code === "room_ended") return end();
  showState("offline");
  return stay(words(error));
}

/**
 * The key is made per press, so every press is one gift, and a retry of it is not another. After a gift of which nobody
 * knows whether it was sent, the next press of the same gift asks about that one, by its key.
 */
async function sendGift(gift, button) {
  const { key, note } = unsure.get(gift.id) ?? { key: "", note: field("note").value.trim() };
  unsure.delete(gift.id);
  if (!key) field("note").value = "";
  pop(button);
  try {
    const reply = await client.sendGift(room, gift.id, 1, note, { key });
    if (reply.coins !== undefined) tellBalance(reply.coins);
    if (key) say(`The ${gift.name} was sent, and paid once.`, "info");
  } catch (error) {
    if (error.code === "outcome_unknown") return keepUnsure(gift, error.key, note);
    field("note").value ||= note;
    say(words(error));
  }
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
  const { coins } = await get(`/v1/users/${encodeURIComponent(sub)}/wallet`);
  if (seen === balancesSeen) tellBalance(coins);
}

/** What concerns the viewer and no room. */
function onUser({ event }) {
  if (event.type === "wallet") tellBalance(event.coins);
  if (event.type === "budget") say(`You have reached ${event.percent} % of a limit of your spending.`, "info");
  if (event.type === "reminder") {
    say(`You have given ${event.coins} coins in the last ${event.minutes} minutes.`, "info");
  }
}

function keepUnsure(gift, key, note) {
  unsure.set(gift.id, { key, note });
  stay(`Nobody knows yet whether the ${gift.name} was sent. Press it again to find out; it is paid once at most.`);
}

async function comment(submit) {
  submit.preventDefault();
  const text = field("text").value.trim();
  if (!text) return;
  try {
    await client.request("comment", { room, text });
    field("text").value = "";
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
    showGifts((await get("/v1/catalog")).gifts, sendGift);
    await askBalance();
  } catch (error) {
    say(words(error));
  }
}

function start() {
  top.reset([]);
  byId("talk").addEventListener("submit", comment);
  byId("like").addEventListener("click", like);
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
