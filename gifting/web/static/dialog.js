/** A question that has to be answered before anything else. */

import { el } from "./dom.js";

/**
 * Ask, and wait for the answer.
 * @param {{title: string, lines: (string | Node)[], answers: {value: string, text: string}[]}} question the last answer is
 *   the one that stands out
 * @returns {Promise<string>} its value; "" after Escape or a click beside it
 */
export function choose({ title, lines, answers }) {
  const head = el("h2", "", title);
  head.id = "question";
  const buttons = answers.map(({ value, text }, place) => button(value, text, place === answers.length - 1));
  const dialog = el("dialog", "question", "", [head, ...lines.map(line), el("div", "answers", "", buttons)]);
  dialog.setAttribute("aria-labelledby", head.id);
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
    for (const one of buttons) one.addEventListener("click", () => dialog.close(one.value));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close(""));
    dialog.showModal();
  });
}

/**
 * Whether something is meant.
 * @param {{title: string, lines: (string | Node)[], yes: string, no?: string}} question
 */
export async function ask({ title, lines, yes, no = "Not now" }) {
  const answers = [
    { value: "", text: no },
    { value: "yes", text: yes },
  ];
  return (await choose({ title, lines, answers })) === "yes";
}

/** @param {string | Node} text */
function line(text) {
  return typeof text === "string" ? el("p", "", text) : text;
}

/** @param {string} value @param {string} text @param {boolean} main */
function button(value, text, main) {
  const made = el("button", main ? "yes" : "", text);
  made.type = "button";
  made.value = value;
  return made;
}
