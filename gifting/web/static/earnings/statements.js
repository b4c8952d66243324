/** The statements that a creator can look at and save: the last twelve months, this year and the last. */

import { diamonds, el, number } from "../dom.js";
import { money } from "../money.js";
import { api, attempt } from "../own.js";

const WHAT = {
  opening: "at the beginning",
  earned: "earned",
  taken_back: "taken back",
  settled: "debt settled",
  paid_out: "paid out",
  returned: "came back",
  closing: "at the end",
};

const HEADS = ["", "", "Before commission", "Commission", "Diamonds", "Owed", "Money"];

/** @param {HTMLElement} list @param {HTMLElement} shown @param {string} path the creator's */
export function list(list, shown, path) {
  list.replaceChildren(...periods(new Date()).map((period) => el("li", "row", "", [el("span", "", period), buttons(period, shown, path)])));
}

/** As the API calls them, the newest first. @param {Date} now */
function periods(now) {
  const year = now.getUTCFullYear();
  const months = [...Array(12).keys()].map((back) => new Date(Date.UTC(year, now.getUTCMonth() - back)).toISOString().slice(0, 7));
  return [...months, String(year), String(year - 1)];
}

/** @param {string} period @param {HTMLElement} shown @param {string} path */
function buttons(period, shown, path) {
  const asked = `${path}/statements/${period}`;
  const save = (form) => async () => download(`statement-${period}.${form}`, await api.file(`${asked}?format=${form}`));
  return el("div", "buttons", "", [
    button("Show", `Show ${period}`, async () => show(shown, await api.get(asked))),
    button("CSV", `Save ${period} as CSV`, save("csv")),
    button("PDF", `Save ${period} as PDF`, save("pdf")),
  ]);
}

/** @param {string} text @param {string} label @param {() => Promise<unknown>} work */
function button(text, label, work) {
  const made = el("button", "", text);
  made.type = "button";
  made.setAttribute("aria-label", label);
  made.addEventListener("click", () => attempt(work));
  return made;
}

/** @param {HTMLElement} place */
function show(place, { period, so_far, lines }) {
  const head = el("tr", "", "", HEADS.map((text) => el(text ? "th" : "td", "", text)));
  const caption = el("caption", "soft", so_far ? `${period}, so far` : period);
  place.replaceChildren(el("table", "", "", [caption, el("thead", "", "", [head]), el("tbody", "", "", lines.map(row))]));
  place.hidden = false;
  place.focus();
}

function row(line) {
  const name = el("th", "", WHAT[line.what] ?? line.what);
  name.scope = "row";
  const numbers = [line.gross, line.commission, line.diamonds, line.debt].map((milli) => el("td", "", milli ? number(diamonds(milli)) : ""));
  const at = el("td", "", new Date(line.at).toISOString().slice(0, 10));
  return el("tr", "", "", [name, at, ...numbers, el("td", "", line.currency ? money(line.money, line.currency) : "")]);
}

/** @param {string} name @param {Blob} file */
function download(name, file) {
  const link = el("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
