/** The checkout of the sandbox: /checkout/{id}. Who knows the id may pay, so there is no token here. */

import { Api } from "../ask.js";
import { el } from "../dom.js";
import { money } from "../money.js";
import { words } from "../words.js";

const LOOK_EVERY = 5_000;
const OUTCOMES = {
  paid: "Paid. Your coins are on their way.",
  closed: "This checkout is over. Nothing was paid.",
};

const byId = (id) => document.getElementById(id);
const path = `/v1/sandbox/checkouts/${encodeURIComponent(location.pathname.split("/").at(-1) ?? "")}`;
const api = new Api("");
/** The step that is shown: it is not made anew while nothing has changed, lest a choice be lost. */
let shown = "";

/** @param {() => Promise<any>} work */
async function step(work) {
  try {
    const checkout = await work();
    tell(checkout.refused);
    show(checkout);
  } catch (error) {
    tell(["not_found", "bad_message"].includes(error.code) ? "There is no such checkout." : words(error));
  }
}

/** @param {string} text */
function tell(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
}

function show(checkout) {
  const back = /** @type {HTMLAnchorElement} */ (byId("back"));
  back.href = checkout.return_url;
  back.hidden = !checkout.return_url;
  if (shown === checkout.status) return;
  shown = checkout.status;
  const steps = { open: chooseCard, confirm: confirmCard };
  const parts = steps[shown]?.(checkout) ?? [el("p", "outcome", OUTCOMES[shown])];
  const what = el("p", "what", "", [el("span", "", checkout.label), el("span", "", money(checkout.amount, checkout.currency))]);
  byId("step").replaceChildren(what, ...parts);
}

/** @param {{cards: {number: string, label: string}[], amount: number, currency: string}} checkout */
function chooseCard({ cards, amount, currency }) {
  const choices = cards.map(({ number, label }, place) => {
    const input = el("input");
    input.type = "radio";
    input.name = "card";
    input.value = number;
    input.checked = !place;
    return el("label", "", "", [input, el("span", "", label), el("span", "number", `… ${number.slice(-4)}`)]);
  });
  const list = el("div", "cards", "", choices);
  const legend = el("legend", "", "Which card do you pay with?");
  const fields = el("fieldset", "", "", [legend, list]);
  const pay = () => {
    const chosen = /** @type {HTMLInputElement} */ (list.querySelector(":checked"));
    return api.post(`${path}/pay`, { card: chosen.value });
  };
  return [fields, answers("Don't pay", `Pay ${money(amount, currency)}`, () => api.post(`${path}/cancel`, {}), pay)];
}

/** What a bank asks its customer (3-D Secure). */
function confirmCard() {
  const answer = (approved) => () => api.post(`${path}/confirm`, { approved });
  return [
    el("h2", "", "Your bank asks"),
    el("p", "", "Is it you who pays with this card? A real bank asks in its app, or for a code."),
    answers("No, it is not me", "Yes, it is me", answer(false), answer(true)),
  ];
}

/** Two ways to go on; the second stands out. */
function answers(no, yes, refuse, agree) {
  const buttons = [
    [no, refuse, ""],
    [yes, agree, "yes"],
  ].map(([text, work, name]) => {
    const button = el("button", name, text);
    button.type = "button";
    button.addEventListener("click", () => step(work));
    return button;
  });
  return el("div", "answers", "", buttons);
}

/** It may be over meanwhile, or go on in another tab. */
function look() {
  const over = !["open", "confirm"].includes(shown);
  if (!over && !document.hidden) api.get(path).then(show, () => {});
}

step(() => api.get(path));
setInterval(look, LOOK_EVERY);
