/** Small helpers for pages. What a viewer typed only ever becomes text, never markup. */

import { at } from "./lib/base.js";

/**
 * A new element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} [name] its class
 * @param {string} [text]
 * @param {Node[]} [children]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, name = "", text = "", children = []) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text) node.textContent = text;
  node.append(...children);
  return node;
}

/** Text somebody chose: kept to itself, whichever direction it is written in. */
export function typed(tag, name, text) {
  const node = el(tag, name, text);
  node.dir = "auto";
  return node;
}

/** The address of a picture if it is https or this server's own, else "". @param {unknown} text */
export function safeUrl(text) {
  if (typeof text !== "string" || !text) return "";
  try {
    const url = new URL(/^\/(?!\/)/.test(text) ? at(text) : text, at("/"));
    const own = url.origin === location.origin && url.protocol === location.protocol;
    return own || url.protocol === "https:" ? url.href : "";
  } catch {
    return "";
  }
}

/** A picture; if there is none or it does not load, `instead`. */
export function picture(address, name, instead) {
  const url = safeUrl(address);
  if (!url) return instead;
  const image = el("img", name);
  image.alt = "";
  image.referrerPolicy = "no-referrer";
  image.onerror = () => image.replaceWith(instead);
  image.src = url;
  return image;
}

/** The picture of a user, or the first letter of the name on a colour of its own. */
export function avatar(user) {
  const name = nameOf(user);
  const initial = el("span", `avatar hue-${hue(user?.id ?? name)}`, [...name][0].toUpperCase());
  initial.setAttribute("aria-hidden", "true");
  return picture(user?.picture, "avatar", initial);
}

/** What to call a user. */
export function nameOf(user) {
  return String(user?.name ?? "").trim() || String(user?.id ?? "") || "Somebody";
}

function hue(text) {
  let sum = 0;
  for (const char of String(text)) sum = (sum * 31 + char.codePointAt(0)) % 997;
  return sum % 6;
}

const plain = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2, roundingMode: "floor" });
/** From here on a number is too long for where it stands. */
const LONG = 1_000_000;

/** 12345 → "12,345". */
export function number(value) {
  return plain.format(value ?? 0);
}

/** 12345 → "12,345", but 1234567 → "1.23M": never more than it is. */
export function brief(value) {
  return (value >= LONG ? short : plain).format(value ?? 0);
}

/** "1 coin", "2 coins". */
export function coins(value) {
  return `${number(value)} ${value === 1 ? "coin" : "coins"}`;
}

/** On the wire diamonds are thousandths. */
export function diamonds(milli) {
  return (milli ?? 0) / 1000;
}

export const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Let a counter jump: a small pop. */
export function pop(node) {
  if (calm.matches) return;
  const frames = [{ transform: "scale(1.45) rotate(-4deg)" }, { transform: "scale(1)" }];
  node.animate(frames, { duration: 260, easing: "cubic-bezier(.2, 1.6, .4, 1)" });
}

/** Change the children of `list`; those that move, glide to their new places. */
export function glide(list, change) {
  const before = new Map([...list.children].map((node) => [node, node.getBoundingClientRect().top]));
  change();
  if (calm.matches) return;
  for (const [node, top] of before) {
    const moved = node.isConnected ? top - node.getBoundingClientRect().top : 0;
    if (moved) {
      const frames = [{ transform: `translateY(${moved}px)` }, { transform: "none" }];
      node.animate(frames, { duration: 300, easing: "ease-out" });
    }
  }
}
