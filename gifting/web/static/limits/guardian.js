/** Somebody who sees what a viewer spends and sets limits: asked for, accepted, declined, ended. */

import { ask } from "../dialog.js";
import { el, typed } from "../dom.js";
import { api, attempt, byId, pathOf, room, say, user } from "../own.js";

const DUTIES = "A guardian sees what you spend and buy, and can set limits that you can't raise.";

/** The viewer's own guardian. @param {{guardian: string, invited: string}} limits @param {() => Promise<void>} show */
export function showGuardian({ guardian, invited }, show) {
  const name = guardian || invited;
  byId("guardian-ask").hidden = Boolean(name);
  byId("guardian-is").hidden = !name;
  const said = guardian
    ? [named(name), " is your guardian, who sees what you spend and buy and can set limits for you. Only your guardian, or support, can end that."]
    : ["You have asked ", named(name), ", who sees nothing until they accept."];
  byId("guardian-is").replaceChildren(el("p", "", "", said.map(text)), ...(guardian ? [] : [takeBack(show)]));
}

/** @param {() => Promise<void>} show */
function takeBack(show) {
  return el("div", "buttons", "", [button("Take it back", () => end(user, show, "You have taken it back."))]);
}

/** Ask somebody, once that is meant. @param {() => Promise<void>} show */
export async function askFor(show) {
  const field = /** @type {HTMLInputElement} */ (byId("guardian-name"));
  const guardian = field.value.trim();
  const lines = [DUTIES, "It begins when they accept. From then on only they, or support, can end it."];
  if (!(await ask({ title: `Ask ${guardian} to be your guardian?`, lines, yes: "Ask" }))) return;
  await api.put(`${pathOf(user)}/guardian`, { guardian });
  field.value = "";
  await show();
  say(`Sent. They find it on this page of theirs, under "People you look after".`, "info");
}

/** Those who have the viewer for guardian, or ask for it. @param {() => Promise<void>} show */
export async function showWards(show) {
  const { wards } = await api.get(`${pathOf(user)}/wards`);
  byId("wards-part").hidden = !wards.length;
  byId("wards").replaceChildren(...wards.map((ward) => (ward.accepted ? accepted(ward.user) : asks(ward.user, show))));
}

/** @param {string} ward */
function accepted(ward) {
  const link = el("a", "", "Spending and limits");
  link.href = `?${new URLSearchParams({ ...(room && { room }), ward })}`;
  link.setAttribute("aria-label", `Spending and limits of ${ward}`);
  return el("li", "row", "", [el("span", "", "", [named(ward), text(": you are their guardian.")]), link]);
}

/** @param {string} ward @param {() => Promise<void>} show */
function asks(ward, show) {
  const decline = button("Decline", () => end(ward, show, "Declined. They see that you are not asked any more."));
  const accept = button("Accept", async () => {
    await api.post(`${pathOf(ward)}/guardian/accept`, {});
    await show();
    say("You are their guardian now. You can set limits under “Spending and limits”.", "info");
  });
  const question = el("p", "", "", [named(ward), text(" asks you to be their guardian: you would see what they spend and buy, and could set limits for them.")]);
  return el("li", "", "", [question, el("div", "buttons", "", [decline, accept])]);
}

/** Be no longer a ward's guardian, once that is meant. @param {string} ward */
export async function resign(ward) {
  const lines = ["The limits that you have set end at once, and you no longer see what is spent. Limits that they have set themselves stay."];
  if (!(await ask({ title: `Be no longer the guardian of ${ward}?`, lines, yes: "End it" }))) return;
  await api.delete(`${pathOf(ward)}/guardian`);
  location.assign(`?${new URLSearchParams({ ...(room && { room }) })}`);
}

/** @param {string} ward @param {() => Promise<void>} show @param {string} told */
async function end(ward, show, told) {
  await api.delete(`${pathOf(ward)}/guardian`);
  await show();
  say(told, "info");
}

/** @param {string} label @param {() => Promise<void>} work */
function button(label, work) {
  const made = el("button", "", label);
  made.type = "button";
  made.addEventListener("click", () => attempt(work, { forbidden: "This is over already. Reload the page." }));
  return made;
}

/** @param {string} id */
function named(id) {
  return typed("b", "who", id);
}

/** @param {string | Node} part */
function text(part) {
  return typeof part === "string" ? document.createTextNode(part) : part;
}
