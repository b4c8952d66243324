/** What a viewer has bought, what became of it, the way to give it back, and to ask for help: /purchases#token=… */

import { ask } from "../dialog.js";
import { coins, el } from "../dom.js";
import { uuid7 } from "../lib/keys.js";
import { money, moment } from "../money.js";
import { api, attempt, byId, say, start } from "../own.js";
import * as help from "./help.js";

const STATES = {
  created: "not paid yet",
  paying: "being paid",
  paid: "paid",
  partly_refunded: "partly given back",
  refunded: "given back",
  disputed: "in dispute",
  won: "paid, after a dispute",
  lost: "taken back after a dispute",
  expired: "not paid in time",
  failed: "did not go through",
  fraud_warning: "being looked at",
};

/** What a state means for who has bought. */
const MEANS = {
  paying: "The payment is on its way. The coins come as soon as it is through.",
  disputed: "The bank asks about this payment. Until that is settled you can't send gifts or buy coins.",
  fraud_warning: "This payment is being checked. Until that is done you can't send gifts or buy coins.",
  expired: "No coins were issued for it.",
  failed: "No coins were issued for it.",
};

const RECEIPTS = {
  done: "The money is on its way back to you.",
  pending: "The money is being sent back to you.",
  failed: "The money could not be sent back, so you have your coins again.",
};

async function show() {
  const [{ purchases }, cases] = await Promise.all([api.get("/v1/purchases"), help.asked()]);
  const lines = purchases.map((one) => el("li", "panel", "", purchase(one, cases.filter(({ order }) => order === one.id))));
  byId("purchases").replaceChildren(...(lines.length ? lines : [el("li", "soft", "You have bought nothing yet.")]));
}

/** @returns {Node[]} */
function purchase(one, cases) {
  const bonus = one.bonus ? ` + ${coins(one.bonus)} on top` : "";
  const head = el("div", "row", "", [
    el("h2", "", `${coins(one.coins)}${bonus}`),
    el("span", "price", money(one.price, one.currency)),
  ]);
  const about = el("div", "row soft", "", [
    el("span", "", moment(one.created)),
    el("span", `state ${one.state}`, STATES[one.state] ?? one.state),
  ]);
  const said = [...(MEANS[one.state] ? [MEANS[one.state]] : [])];
  if (one.url) said.push(`You can pay until ${moment(one.expires)}; after that it ends by itself.`);
  if (one.discount) said.push(`You saved ${money(one.discount, one.currency)}.`);
  if (one.refunded) said.push(`${money(one.refunded, one.currency)} went back to you, and ${coins(one.taken)} were taken back.`);
  if (one.withdrawable) said.push(`What you have not spent of it you can give back until ${moment(one.withdraw_until)}.`);
  else if (one.state === "paid" && !one.refundable) said.push(one.terms);
  return [head, about, ...said.map((text) => el("p", "soft", text)), ...one.receipts.map(receipt), ...cases.map(help.told), buttons(one, cases)];
}

function buttons(one, cases) {
  const made = [];
  if (one.url) made.push(button("Go on to pay", "yes", () => location.assign(one.url)));
  if (one.withdrawable) made.push(button("Give it back", "", () => attempt(() => giveBack(one))));
  const waits = cases.some((asked) => asked.state !== "closed");
  if (!waits) made.push(button("Ask for help", "", () => attempt(() => help.askFor(one.id, show))));
  return made.length ? el("div", "buttons", "", made) : "";
}

function button(text, name, work) {
  const made = el("button", name, text);
  made.type = "button";
  made.addEventListener("click", work);
  return made;
}

/** In two steps: first what would go back, then, if that is meant, that and nothing else. */
async function giveBack(one) {
  const path = `/v1/purchases/${one.id}/withdraw`;
  const key = uuid7(Date.now());
  const offer = await api.post(path, { key });
  const back = money(offer.amount, offer.currency);
  const taken = coins(offer.coins + offer.bonus);
  const lines = [
    `You get ${back} back, the way you paid. For that ${taken} are taken from what you have.`,
    "What you have spent of this purchase stays paid.",
  ];
  if (!(await ask({ title: `Give back ${taken}?`, lines, yes: `Give back for ${back}` }))) return;
  await api.post(path, { key, token: offer.token });
  await show();
  say(`You gave back ${taken} for ${back}. The receipt is below; save it if you like.`, "info");
}

/** What was given back, as it stays here and can be kept. */
function receipt(one) {
  const text = [
    `Given back: ${coins(one.coins + one.bonus)} for ${money(one.amount, one.currency)}, on ${moment(one.at)}.`,
    RECEIPTS[one.status],
    `Receipt ${one.key}`,
  ];
  const save = button("Save the receipt", "", () => download(`receipt-${one.key}.txt`, text.join("\n")));
  return el("div", "receipt soft", "", [...text.map((line) => el("p", "", line)), el("div", "buttons", "", [save])]);
}

/** @param {string} name @param {string} text */
function download(name, text) {
  const link = el("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

start(show);
