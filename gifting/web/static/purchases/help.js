/** Asking support about a purchase, and what came of it. */

import { ask } from "../dialog.js";
import { el } from "../dom.js";
import { uuid7 } from "../lib/keys.js";
import { moment } from "../money.js";
import { api, say } from "../own.js";

const KINDS = {
  not_delivered: "I have paid, and the coins did not come",
  unauthorised: "It was not me who paid",
  minor: "A child has paid",
  other: "Something else",
};

const OUTCOMES = {
  reversed: "The gift was given back.",
  refunded: "The money goes back to you.",
  refused: "Nothing was changed.",
  other: "It is settled.",
};

/** What was asked so far. @returns {Promise<any[]>} */
export async function asked() {
  return (await api.get("/v1/support/cases?limit=200")).cases;
}

/** @returns {Node} */
export function told(one) {
  const said = [`You asked for help on ${moment(one.at)}: ${KINDS[one.kind] ?? one.kind}.`];
  if (one.state === "closed") said.push(OUTCOMES[one.outcome] ?? OUTCOMES.other, one.reason);
  else said.push("Somebody looks at it. The answer will be here.");
  return el("div", "receipt soft", "", said.map((text) => el("p", "", text)));
}

/**
 * Ask about a purchase, if that is meant.
 * @param {string} order
 * @param {() => Promise<unknown>} then
 */
export async function askFor(order, then) {
  const [kind, text] = [choice(), words()];
  const lines = [labelled("What is it about?", kind), labelled("What happened?", text)];
  if (!(await ask({ title: "Ask for help with this purchase?", lines, yes: "Ask for help" }))) return;
  const body = { about: { order }, kind: kind.value, text: text.value.trim(), key: uuid7(Date.now()) };
  await api.post("/v1/support/cases", body);
  await then();
  say("You have asked for help. The answer will be here.", "info");
}

function choice() {
  const options = Object.entries(KINDS).map(([value, text]) => Object.assign(el("option", "", text), { value }));
  return el("select", "", "", options);
}

function words() {
  const made = el("textarea");
  made.rows = 4;
  made.maxLength = 2000;
  return made;
}

/** @param {string} text @param {HTMLElement} field */
function labelled(text, field) {
  return el("label", "help", text, [field]);
}
