/**
 * Gifts to rooms full of viewers, over WebSockets (`gifting.v1.json`), with the browser's own client.
 *
 *     GIFTING_SECRET=… k6 run -e URL=http://127.0.0.1:8080 benchmarks/k6/gifts.js
 *
 * Besides URL: ROOMS (1), SENDERS (10), RATE (5; gifts per second of each sender), VIEWERS (50; over all rooms),
 * DURATION (20; seconds).
 */

import "./platform.js";

import { check } from "k6";
import { Counter, Rate, Trend } from "k6/metrics";

import { GiftingClient } from "../../gifting/web/static/lib/gifting.js";
import { issue, Operator } from "./operator.js";

const URL = __ENV.URL || "http://127.0.0.1:8080";
const SECRET = __ENV.GIFTING_SECRET;
const [ROOMS, SENDERS, RATE, VIEWERS, DURATION] = [
  ["ROOMS", 1],
  ["SENDERS", 10],
  ["RATE", 5],
  ["VIEWERS", 50],
  ["DURATION", 20],
].map(([name, usual]) => Number(__ENV[name] || usual));
const GIFT = { id: "petal", coins: 1 };
const COINS = Math.ceil(RATE * DURATION * GIFT.coins * 2);
/** Seconds that a client may take beyond the duration: its last replies. */
const SETTLE = 10;

const ack = new Trend("gift_ack", true);
const delivery = new Trend("gift_delivery", true);
const acked = new Counter("gifts_acked");
const shown = new Counter("events_shown");
const failed = new Rate("gifts_failed");

const scenario = (exec, vus) => ({ exec, vus, executor: "per-vu-iterations", maxDuration: `${DURATION + SETTLE}s` });

export const options = {
  scenarios: { viewers: scenario("watch", VIEWERS), senders: scenario("send", SENDERS) },
  thresholds: { gifts_failed: ["rate==0"], gifts_acked: ["count>0"], checks: ["rate==1"] },
  summaryTrendStats: ["med", "p(95)", "p(99)", "max"],
};

export function setup() {
  if (!SECRET) throw new Error("GIFTING_SECRET signs the tokens: set it to the server's.");
  const run = Date.now().toString(36);
  const operator = new Operator(URL, SECRET);
  const rooms = Array.from({ length: ROOMS }, (_, index) => `k6-${run}-${index}`);
  rooms.forEach((room) => operator.openRoom(room));
  return { run, rooms };
}

export function teardown({ rooms }) {
  const operator = new Operator(URL, SECRET);
  rooms.forEach((room) => operator.endRoom(room));
}

/** A viewer: joins, and counts what it is shown. */
export function watch({ run, rooms }) {
  const client = join(`k6-${run}-v${__VU}`, rooms);
  client.on("event", ({ event }) => {
    shown.add(1);
    if (event.type === "gift" && event.count > 0) delivery.add(client.now() - event.ts);
  });
  client.connect();
  setTimeout(() => client.close(), DURATION * 1000);
}

/** A sender: sends at its rate, and at the end has paid for exactly what was acknowledged. */
export function send({ run, rooms }) {
  const user = `k6-${run}-s${__VU}`;
  new Operator(URL, SECRET).grant(user, COINS);
  const client = join(user, rooms);
  const room = rooms[__VU % rooms.length];
  const gifts = [];
  client.on("snapshot", ({ first }) => {
    if (!first) return;
    const timer = setInterval(() => gifts.push(gift(client, room)), 1000 / RATE);
    setTimeout(() => {
      clearInterval(timer);
      Promise.all(gifts).then((outcomes) => leave(client, user, outcomes));
    }, DURATION * 1000);
  });
  client.connect();
}

function join(user, rooms) {
  const room = rooms[__VU % rooms.length];
  const token = issue(SECRET, user, "viewer");
  return new GiftingClient({ url: `${URL.replace(/^http/, "ws")}/v1/ws`, token, rooms: [{ room, lane: "all" }] });
}

/** One gift. @returns {Promise<boolean>} whether it was acknowledged */
async function gift(client, room) {
  const sent = Date.now();
  try {
    await client.sendGift(room, GIFT.id);
  } catch (error) {
    console.error(`${error.code}: ${error.message}`);
    failed.add(true);
    return false;
  }
  ack.add(Date.now() - sent);
  acked.add(1);
  failed.add(false);
  return true;
}

function leave(client, user, outcomes) {
  client.close();
  const paid = outcomes.filter(Boolean).length * GIFT.coins;
  const left = new Operator(URL, SECRET).wallet(user).coins;
  check(left, { "every acknowledged gift was charged once": (coins) => coins === COINS - paid });
}
