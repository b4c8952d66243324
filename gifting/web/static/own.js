/** What a viewer's own pages have in common: who it is, a notice, and the way back to the stream. */

import { Api } from "./ask.js";
import { at } from "./lib/base.js";
import { claims, takeToken } from "./lib/keys.js";
import { words } from "./words.js";

export const byId = (id) => document.getElementById(id);

/** An id that the page's address has, "" if none. @param {string} name */
export function asked(name) {
  const id = new URLSearchParams(location.search).get(name) ?? "";
  return /^[\w.:@-]{1,64}$/.test(id) ? id : "";
}

/** Where the API has what is a user's. @param {string} id */
export function pathOf(id) {
  return `/v1/users/${encodeURIComponent(id)}`;
}

export const room = asked("room");
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

/**
 * Do something that may be refused; then that is said.
 * @param {() => Promise<unknown>} work
 * @param {Record<string, string>} here what is said here of some refusals, by their codes
 */
export async function attempt(work, here = {}) {
  say("");
  try {
    await work();
  } catch (error) {
    say(here[error.code] ?? words(error));
  }
}

/**
 * Show the page, if somebody is there to show it to.
 * @param {() => Promise<unknown>} show
 * @param {Record<string, string>} here as {@link attempt} takes it
 */
export function start(show, here = {}) {
  const back = /** @type {HTMLAnchorElement} */ (byId("back"));
  back.hidden = !room;
  back.href = at(`/rooms/${encodeURIComponent(room)}`);
  if (user) return attempt(show, here);
  return say("This link is not whole. Open the stream again from where you came.");
}
