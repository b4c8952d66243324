/** What may be limited, as tables, fields and words have it. */

import { coins, el } from "../dom.js";

export const WINDOWS = {
  h24: "Any 24 hours",
  d7: "Any 7 days",
  d30: "Any 30 days",
  day: "A day",
  week: "A week",
  month: "A month",
};
/** When those of the calendar begin. */
const BEGINS = { day: "from midnight", week: "from Monday", month: "from the 1st" };
export const CAPS = {
  gift: "One gift",
  streak: "Gifts sent in one go",
  confirm_above: "Ask before a gift of more than",
};
export const KINDS = { gifts: "Gifts", purchases: "Buying coins" };

/** "gifts.day" → "Gifts, a day". @param {string} name */
export function nameOfLimit(name) {
  const [kind, part] = name.split(".");
  return kind === "caps" ? CAPS[part] : `${KINDS[kind]}, ${WINDOWS[part].toLowerCase()}`;
}

/** All limits of a set in a sentence each; "" if there are none. @param {Record<string, Record<string, number | null>>} set */
export function inWords(set) {
  const named = Object.entries(set).flatMap(([kind, values]) =>
    Object.entries(values).map(([part, limit]) => /** @type {const} */ ([`${kind}.${part}`, limit])),
  );
  const there = named.filter(([, limit]) => limit !== null);
  return there.map(([name, limit]) => `${nameOfLimit(name)}: ${coins(limit)}.`).join(" ");
}

/** The head of a window's row. @param {string} window */
export function rowHead(window) {
  return el("span", "", `${WINDOWS[window]} `, BEGINS[window] ? [el("small", "soft", BEGINS[window])] : []);
}

/** Fields for all limits of a set. @param {any} set @param {HTMLElement} windows a table @param {HTMLElement} caps */
export function showFields(set, windows, caps) {
  const rows = Object.entries(WINDOWS).map(([window, label]) => [
    rowHead(window),
    ...Object.keys(KINDS).map((kind) => field(`${kind}.${window}`, `${KINDS[kind]}, ${label}`, set[kind][window])),
  ]);
  windows.replaceChildren(...table(["", ...Object.values(KINDS)], rows));
  const labels = Object.entries(CAPS).map(([cap, label]) =>
    el("label", "", "", [el("span", "", label), field(`caps.${cap}`, "", set.caps[cap], 1)]),
  );
  caps.replaceChildren(...labels);
}

/** Only what was changed is sent: what was not touched must not end a wait for more. @param {HTMLElement} form */
export function changed(form) {
  const wanted = {};
  for (const input of form.querySelectorAll("input")) {
    if (input.value === input.defaultValue) continue;
    const [kind, name] = input.name.split(".");
    wanted[kind] = { ...wanted[kind], [name]: input.value ? input.valueAsNumber : null };
  }
  return wanted;
}

/** @param {string} name @param {string} label @param {number | null} value */
function field(name, label, value, least = 0) {
  const input = el("input");
  input.type = "number";
  input.name = name;
  input.min = String(least);
  input.step = "1";
  input.placeholder = "none";
  if (label) input.setAttribute("aria-label", label);
  input.defaultValue = value === null ? "" : String(value);
  return input;
}

/** @param {string[]} heads @param {(string | Node)[][]} rows */
export function table(heads, rows) {
  const head = el("thead", "", "", [el("tr", "", "", heads.map((text, place) => cell(text ? "th" : "td", text, place && "col")))]);
  const body = rows.map(([first, ...others]) =>
    el("tr", "", "", [cell("th", first, "row"), ...others.map((one) => cell("td", one, 0))]),
  );
  return [head, el("tbody", "", "", body)];
}

/** @param {"th" | "td"} kind @param {string | Node} content @param {string | number} scope */
function cell(kind, content, scope) {
  const made = el(kind);
  if (kind === "th") made.setAttribute("scope", String(scope));
  made.append(content);
  return made;
}
