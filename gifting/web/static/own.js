/** What a viewer's own pages have in common: who it is, a notice, and the way back to the stream. */

import { Api } from "./ask.js";
import { at } from "./lib/base.js";
import { claims, takeToken } from "./lib/keys.js";
import { words } from "./words.js";

export const byId = (id) => document.getElementById(id);

const token = takeToken();
export const api = new Api(token);
export const { sub: user = "", region = "" } = claims(token);

/** @param {string} text @param {"error" | "info"} kind */
export function say(text, kind = "error") {
  const notice = byId("notice");
  notice.className = kind;
  notice.textContent = text;
  notice.hidden = !text;
}

/** Do something that may be refused; then that is said. @param {() => Promise<unknown>} work */
export async function attempt(work) {
  say("");
  try {
    await work();
  } catch (error) {
    say(words(error));
  }
}

/** Show the page, if somebody is there to show it to. @param {() => Promise<unknown>} show */
export function start(show) {
  const room = new URLSearchParams(location.search).get("room") ?? "";
  const back = /** @type {HTMLAnchorElement} */ (byId("back"));
  back.hidden = !/^[\w.:@-]{1,64}$/.test(room);
  back.href = at(`/rooms/${encodeURIComponent(room)}`);
  if (user) return attempt(show);
  return say("This link is not whole. Open the stream again from where you came.");
}
