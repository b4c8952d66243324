/** A question that has to be answered before anything else. */

import { el } from "./dom.js";

/**
 * Ask, and wait for the answer; Escape and a click beside it say no.
 * @param {{title: string, lines: (string | Node)[], yes: string, no?: string}} question
 * @returns {Promise<boolean>}
 */
export function ask({ title, lines, yes, no = "Not now" }) {
  const head = el("h2", "", title);
  head.id = "question";
  const refuse = button(no, "no");
  const agree = button(yes, "yes");
  const dialog = el("dialog", "question", "", [head, ...lines.map(line), el("div", "answers", "", [refuse, agree])]);
  dialog.setAttribute("aria-labelledby", head.id);
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    for (const one of [refuse, agree]) one.addEventListener("click", () => dialog.close(one.value));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close("no"));
    dialog.showModal();
  });
}

/** @param {string | Node} text */
function line(text) {
  return typeof text === "string" ? el("p", "", text) : text;
}

/** @param {string} text @param {string} value */
function button(text, value) {
  const made = el("button", value, text);
  made.type = "button";
  made.value = value;
  return made;
}
