/** What a creator has earned, the way to have it paid out, and statements: /earnings#token=… */

import { ask } from "../dialog.js";
import { diamonds, el, number } from "../dom.js";
import { uuid7 } from "../lib/keys.js";
import { money, moment } from "../money.js";
import { api, attempt, byId, say, start, user } from "../own.js";
import { list as listStatements } from "./statements.js";

const path = `/v1/creators/${encodeURIComponent(user)}`;

/** The parts of a balance, and what each is called here. */
const PARTS = {
  available: "available",
  pending: "not available yet",
  reserved: "kept back for a while",
  owed: "kept for what you owe",
};

const STATES = {
  requested: "asked for",
  review: "being looked at",
  processing: "on its way",
  paid: "paid",
  failed: "not paid",
  returned: "came back",
};

/** What a state means for who has asked. */
const MEANS = {
  review: "Somebody looks at it before it is sent.",
  failed: "The diamonds are yours again.",
  returned: "The bank sent the money back, and the diamonds are yours again.",
};

/** What is being asked for: the same again has the same key, so it is paid out once, whatever happened to the answer. */
const asking = { diamonds: 0, key: "" };
let currency = "";

async function show() {
  const [balance, creator, { payouts }] = await Promise.all([
    api.get(`${path}/balance`),
    api.get(path),
    api.get("/v1/payouts"),
  ]);
  currency = balance.currency;
  byId("balance").replaceChildren(...Object.entries(PARTS).map(([part, text]) => line(text, balance[part])));
  byId("release").textContent = balance.next_release ? `More becomes available on ${moment(balance.next_release)}.` : "";
  byId("goes").textContent = goes(creator);
  const input = /** @type {HTMLInputElement} */ (byId("diamonds"));
  input.max = input.value = String(diamonds(balance.available.diamonds));
  const lines = payouts.map((one) => el("li", "panel", "", payout(one)));
  byId("payouts").replaceChildren(...(lines.length ? lines : [el("li", "soft", "Nothing was paid out yet.")]));
  listStatements(byId("statements"), byId("statement"), path);
}

/** @param {string} text @param {{diamonds: number, money: number}} amount */
function line(text, amount) {
  const head = el("th", "", text);
  head.scope = "row";
  return el("tr", "", "", [head, el("td", "", number(diamonds(amount.diamonds))), el("td", "", money(amount.money, currency))]);
}

/** Where the money goes, and what is in its way. */
function goes({ destination, kyc, held }) {
  const said = [];
  if (destination) said.push(`Your money goes to the account …${destination.account.slice(-4)} (${destination.provider}).`);
  else said.push("Nobody has said yet where your money goes.");
  if (destination && destination.good_at > Date.now()) {
    said.push(`That was changed: nothing is paid out before ${moment(destination.good_at)}. ${destination.help}`);
  }
  if (kyc !== "verified") said.push("Before anything is paid out, your identity has to be verified.");
  if (held) said.push(`Payouts are stopped: ${held}`);
  return said.join(" ");
}

/** @returns {Node[]} */
function payout(one) {
  const head = el("div", "row", "", [
    el("h3", "", `${number(diamonds(one.diamonds))} diamonds`),
    el("span", "price", money(one.amount, one.currency)),
  ]);
  const about = el("div", "row soft", "", [
    el("span", "", moment(one.created)),
    el("span", `state ${one.state}`, STATES[one.state] ?? one.state),
  ]);
  const said = [MEANS[one.state], one.reason].filter(Boolean);
  return [head, about, ...said.map((text) => el("p", "soft", text))];
}

/** In two steps: first what would go out, then, if that is meant, that and nothing else. */
async function payOut() {
  const wanted = Math.round(Number(/** @type {HTMLInputElement} */ (byId("diamonds")).value) * 1000);
  const title = `Pay out ${number(diamonds(wanted))} diamonds?`;
  const lines = [byId("goes").textContent, "What makes no whole cent stays with you."];
  if (!(await ask({ title, lines, yes: "Pay out" }))) return;
  if (asking.diamonds !== wanted) Object.assign(asking, { diamonds: wanted, key: uuid7(Date.now()) });
  const made = await api.post("/v1/payouts", asking);
  asking.diamonds = 0;
  await show();
  say(`You asked for ${money(made.amount, made.currency)}.`, "info");
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(payOut);
});
start(show);
