/**
 * What a viewer wants to spend at most, has spent, and a break from it: /limits#token=…; the same of somebody whose
 * guardian the viewer is: /limits?ward=…
 */

import { ask } from "../dialog.js";
import { coins, el, number } from "../dom.js";
import { money, moment } from "../money.js";
import { api, asked, attempt, byId, pathOf, region, room, say, start, user } from "../own.js";
import { FOR_EVER } from "../words.js";
import { askFor, resign, showGuardian, showWards } from "./guardian.js";
import { changed, inWords, KINDS, nameOfLimit, rowHead, showFields, table } from "./values.js";

/** Hours of a break, days of an exclusion; null is for ever. */
const BREAKS = [
  ["1 day", "break", { hours: 24 }],
  ["1 week", "break", { hours: 7 * 24 }],
  ["6 weeks", "break", { hours: 42 * 24 }],
  ["6 months", "exclusion", { days: 182 }],
  ["For ever", "exclusion", { days: null }],
];

/** Why somebody can't be asked to be guardian. */
const NOT_ASKED = {
  bad_message: "There can be nobody of that name. Ask them how it is written on this page of theirs.",
  conflict: "You have a guardian already.",
  forbidden: "You can't be your own guardian.",
  list_full: "They are asked by too many already, so you can't ask them now.",
};

/** Whose limits are shown to the guardian; "" on the viewer's own page. */
const ward = asked("ward");
const path = pathOf(ward || user);

async function show() {
  const [limits, spending] = await Promise.all([api.get(`${path}/limits`), api.get(`${path}/spending`)]);
  showSpent(spending);
  showLimits(limits);
  showPause(limits);
  if (!ward) showGuardian(limits, show);
  byId("shown").hidden = false;
  await Promise.all([showWorth(spending.details), ...(ward ? [] : [showWards(show)])]);
}

function showSpent({ gifts, purchases }) {
  const rows = gifts.map((gift, place) => [rowHead(gift.window), used(gift), used(purchases[place])]);
  byId("spent").replaceChildren(...table(["", ...Object.values(KINDS)], rows));
}

/** @param {{coins: number, limit: number | null}} spent */
function used({ coins: spent, limit }) {
  return limit === null ? number(spent) : `${number(spent)} of ${number(limit)}`;
}

/** What that is in money, where coins are sold. */
async function showWorth({ coins: spent, gifts }) {
  if (!spent) return;
  const { gifts: prices, currency } = await api.get(`/v1/packages?region=${region}`).catch(() => ({ gifts: [] }));
  const most = prices.at(-1);
  const worth = most ? `, ${money(Math.ceil((spent * most.price) / most.coins), currency)} at most` : "";
  const sent = gifts.reduce((sum, one) => sum + one.gifts, 0);
  const gave = `${number(sent)} ${sent === 1 ? "gift" : "gifts"}`;
  byId("worth").textContent = `In the last 30 days: ${gave} for ${coins(spent)}${worth}.`;
}

function showLimits({ own, guard, raises, guardian }) {
  showFields(ward ? guard : own, byId("windows"), byId("caps"));
  byId("raises").replaceChildren(...(ward ? [] : raises.map(raise)));
  const others = inWords(ward ? own : guard);
  byId("others").hidden = !(ward || guardian);
  byId("others").textContent = ward ? ofWard(others) : ofGuardian(others);
}

function ofGuardian(limits) {
  return limits ? `Your guardian has set limits too; the lower one counts. ${limits}` : "Your guardian has set no limits.";
}

function ofWard(limits) {
  return limits ? `What they have set themselves; the lower one counts. ${limits}` : "They have set no limits themselves.";
}

function showPause({ blocked_until }) {
  byId("pause").hidden = blocked_until <= Date.now();
  const until = blocked_until === FOR_EVER ? "It does not end." : `It ends ${moment(blocked_until)}.`;
  byId("pause-until").textContent = `No gifts can be sent and no coins bought. ${until}`;
}

/** A raised limit waits for its day, and then to be asked for again. */
function raise({ limit, coins: value, after, before }) {
  const [kind, name] = limit.split(".");
  const what = nameOfLimit(limit);
  const to = value === null ? "no limit" : coins(value);
  if (after > Date.now()) return el("li", "soft", `${what}: ${to} from ${moment(after)} on, if you still want it then.`);
  const confirm = el("button", "", `Yes, ${to}`);
  confirm.type = "button";
  confirm.addEventListener("click", () => attempt(() => save({ [kind]: { [name]: value } })));
  const text = el("span", "", `${what}: do you still want ${to}? You can say so until ${moment(before)}.`);
  return el("li", "row", "", [text, confirm]);
}

/** The zone is where the viewer is: days, weeks and months are those of its clocks. */
async function save(wanted) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const body = ward ? wanted : { ...wanted, zone };
  await api.put(ward ? `${path}/guardian/limits` : `${path}/limits`, body);
  await show();
  say(ward ? "Saved. It holds from now on." : "Saved. What is less holds from now on.", "info");
}

function offerBreaks() {
  const buttons = BREAKS.map(([text, kind, body]) => {
    const button = el("button", "", /** @type {string} */ (text));
    button.type = "button";
    button.addEventListener("click", () => attempt(() => takeBreak(text, kind, body)));
    return button;
  });
  byId("breaks").replaceChildren(...buttons);
}

async function takeBreak(text, kind, body) {
  const lines = ["You will not be able to send gifts or buy coins, and nobody can end that early."];
  const asked = { title: `A break: ${text.toLowerCase()}?`, lines, yes: "Begin the break" };
  if (!(await ask(asked))) return;
  await api.post(`${path}/${kind}`, body);
  await show();
}

/** The same page as the guardian sees it. */
function turnToWard() {
  document.title = `Limits of ${ward}`;
  byId("head").textContent = document.title;
  byId("spent-head").textContent = "What they have spent";
  byId("own-head").textContent = "What they may spend at most";
  byId("own-about").textContent = "In coins; an empty field is no limit. What you save holds at once, also if it is more.";
  byId("pause-head").textContent = "They are taking a break";
  for (const part of ["break", "guardian"]) byId(part).hidden = true;
  byId("resign").hidden = false;
  const back = /** @type {HTMLAnchorElement} */ (byId("back"));
  back.textContent = "Back to your own limits";
  back.href = `?${new URLSearchParams({ ...(room && { room }) })}`;
  back.hidden = false;
}

byId("own").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(() => save(changed(byId("own"))));
});
byId("guardian-ask").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(() => askFor(show), NOT_ASKED);
});
byId("resign-now").addEventListener("click", () => attempt(() => resign(ward)));
byId("me").textContent = user;
offerBreaks();
start(show, ward ? { forbidden: "You are not their guardian, or no longer." } : {});
if (ward) turnToWard();
