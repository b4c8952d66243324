/** Where coins are bought: packages with their prices, on the way to a checkout, and what came of it. */

import { choose } from "../dialog.js";
import { coins, el, number } from "../dom.js";
import { uuid7 } from "../lib/keys.js";
import { money } from "../money.js";
import { words } from "../words.js";

/** The tab remembers which purchase it went to pay. */
const UNDERWAY = "gifting.purchase";
const LOOK_EVERY = 1_000;
const LOOKS = 15;
/** What a payment service calls itself, in people's words. */
const WAYS = { sandbox: "Play money", stripe: "Card, PayPal, Apple Pay, Google Pay" };

const OUTCOMES = {
  paid: (order) => `You bought ${coins(order.coins + order.bonus)} for ${money(order.price, order.currency)}.`,
  failed: () => "The payment did not go through. No coins were issued, and nothing is owed.",
  expired: () => "You did not pay, so no coins were issued.",
};

export class Shop {
  #dialog;
  #api;
  #who;
  #now;
  /** @type {any} */
  #offer = null;
  /** A purchase has been begun: a second press begins no other. */
  #busy = false;
  /** What each gift costs in money at most. @type {Map<string, string>} */
  prices = new Map();

  /**
   * @param {HTMLDialogElement} dialog
   * @param {import("../ask.js").Api} api
   * @param {{sub?: string, region?: string}} who
   * @param {() => number} now ms since 1970, by the server's clock
   */
  constructor(dialog, api, who, now) {
    this.#dialog = dialog;
    this.#api = api;
    this.#who = who;
    this.#now = now;
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }

  /** What is sold where the viewer is; nothing, perhaps. */
  async load() {
    try {
      this.#offer = await this.#api.get(`/v1/packages?region=${this.#who.region ?? ""}`);
    } catch {
      return;
    }
    const { gifts, currency } = this.#offer;
    this.prices = new Map(gifts.map(({ gift, price }) => [gift, money(price, currency)]));
  }

  /** @param {string} [why] what has brought the viewer here */
  open(why = "") {
    if (this.#dialog.open) return;
    const parts = this.#offer ? this.#shelf() : [el("p", "", "Coins are not sold where you are.")];
    this.#dialog.replaceChildren(this.#head(), ...(why ? [el("p", "", why)] : []), ...parts, this.#close());
    this.#dialog.showModal();
  }

  /** What came of the purchase that this tab went to pay, in words; "" if there is none. */
  async outcome() {
    const id = sessionStorage.getItem(UNDERWAY);
    if (!id) return "";
    sessionStorage.removeItem(UNDERWAY);
    for (let look = 0; look < LOOKS; look++) {
      const order = await this.#api.get(`/v1/purchases/${id}`);
      const told = OUTCOMES[order.state];
      if (told) return told(order);
      if (!["created", "paying"].includes(order.state)) return "";
      if (order.state === "created" && look > 2) return "You have not paid yet. Your purchases show how to go on.";
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
    }
    return "Your payment is on its way. The coins come as soon as it is through.";
  }

  #shelf() {
    const { packages, custom, terms } = this.#offer;
    const parts = /** @type {Node[]} */ ([el("ul", "", "", packages.map((one) => el("li", "", "", [this.#package(one)])))]);
    if (custom) parts.push(this.#custom(custom));
    const ways = this.#ways();
    if (ways) parts.push(ways);
    const said = el("p", "", "");
    said.id = "shop-said";
    said.setAttribute("role", "alert");
    return [...parts, said, el("p", "small", terms)];
  }

  #head() {
    const head = el("h2", "", "Get coins");
    head.id = "shop-head";
    return head;
  }

  #close() {
    const close = el("button", "", "Not now");
    close.type = "button";
    close.addEventListener("click", () => this.#dialog.close());
    return el("div", "answers", "", [close]);
  }

  #package({ id, coins: amount, price, offers }) {
    const { currency, promotions } = this.#offer;
    const best = offers.toSorted((one, other) => one.price / (amount + one.bonus) - other.price / (amount + other.bonus))[0];
    const promotion = promotions.find((one) => one.id === best?.promotion);
    const button = el("button", "", "", [el("span", "coins", coins(amount))]);
    if (promotion) {
      const gain = best.bonus ? `+${number(best.bonus)}` : money(best.price, currency);
      button.append(el("span", "bonus", `${gain} ${promotion.first_only ? "the first time" : `· ${promotion.name}`}`));
    }
    button.append(el("span", "cost", money(price, currency)));
    button.type = "button";
    button.dataset.package = id;
    button.addEventListener("click", () => this.#buy({ package: id }));
    return button;
  }

  #custom({ least, most }) {
    const amount = el("input");
    amount.type = "number";
    amount.id = "amount";
    amount.min = String(least);
    amount.max = String(most);
    amount.required = true;
    const cost = el("span", "cost");
    const label = el("label", "", `Any number, ${number(least)} to ${coins(most)}`);
    label.htmlFor = amount.id;
    const submit = el("button", "", "Buy");
    const form = el("form", "", "", [label, amount, cost, submit]);
    amount.addEventListener("input", () => {
      cost.textContent = amount.validity.valid ? money(this.#price(amount.valueAsNumber), this.#offer.currency) : "";
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#buy({ coins: amount.valueAsNumber });
    });
    return form;
  }

  /** For each coin what the next smaller package asks, and never more than the next larger one. @param {number} amount */
  #price(amount) {
    const { packages } = this.#offer;
    const above = packages.find((one) => one.coins > amount);
    const below = packages.findLast((one) => one.coins <= amount) ?? packages[0];
    return Math.min(Math.floor((amount * below.price) / below.coins), above?.price ?? Infinity);
  }

  /** How it is paid, where there is a choice. */
  #ways() {
    const ways = this.#offer.providers ?? ["sandbox"];
    if (ways.length < 2) return null;
    const select = el("select", "", "", ways.map((way) => new Option(WAYS[way] ?? way, way)));
    select.id = "way";
    select.setAttribute("aria-label", "How to pay");
    return select;
  }

  /** Begin a purchase and go to pay it. A key per press: pressing again after an error is another purchase. */
  async #buy(what) {
    if (this.#busy) return;
    this.#busy = true;
    const key = uuid7(this.#now());
    const way = /** @type {HTMLSelectElement | null} */ (this.#dialog.querySelector("#way"));
    const provider = way?.value ?? this.#offer.providers?.[0] ?? "sandbox";
    const { currency } = this.#offer;
    const back = location.href.split("#")[0];
    try {
      const order = await this.#begin({ ...what, key, provider, currency, return_url: back });
      if (!order) return;
      sessionStorage.setItem(UNDERWAY, order.id);
      location.assign(order.url);
    } catch (error) {
      const said = this.#dialog.querySelector("#shop-said");
      said.textContent = words(error);
      said.scrollIntoView({ block: "nearest" });
    } finally {
      this.#busy = false;
    }
  }

  async #begin(body) {
    try {
      return await this.#api.post("/v1/purchases", body);
    } catch (error) {
      if (error.code !== "limits_unasked") throw error;
      return (await this.#askLimit()) ? this.#api.post("/v1/purchases", body) : null;
    }
  }

  /** Whoever buys for the first time is asked for a limit: any amount, or none. */
  async #askLimit() {
    const limit = el("input");
    limit.type = "number";
    limit.min = "0";
    limit.id = "limit";
    const label = el("label", "", "Coins in any 30 days");
    label.htmlFor = limit.id;
    const lines = ["Do you want to set a limit for what you buy? You can lower it at any time; raising it takes a day.", label, limit];
    const answers = [
      { value: "none", text: "No limit" },
      { value: "limit", text: "Set limit" },
    ];
    const answer = await choose({ title: "Before your first purchase", lines, answers });
    if (!answer) return false;
    if (answer === "limit" && !(limit.value && limit.validity.valid)) return this.#askLimit();
    const d30 = answer === "limit" ? limit.valueAsNumber : null;
    await this.#api.put(`/v1/users/${encodeURIComponent(this.#who.sub ?? "")}/limits`, { purchases: { d30 } });
    return true;
  }
}
