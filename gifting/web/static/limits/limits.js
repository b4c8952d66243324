/** What a viewer wants to spend at most, has spent, and a break from it: /limits#token=… */

import { ask } from "../dialog.js";
import { coins, el, number } from "../dom.js";
import { money, moment } from "../money.js";
import { api, attempt, byId, region, say, start, user } from "../own.js";

const WINDOWS = {
  h24: "Any 24 hours",
  d7: "Any 7 days",
  d30: "Any 30 days",
  day: "A day",
  week: "A week",
  month: "A month",
};
const CAPS = {
  gift: "One gift",
  streak: "Gifts sent in one go",
  confirm_above: "Ask me before a gift of more than",
};
const KINDS = { gifts: "Gifts", purchases: "Buying coins" };
/** Hours of a break, days of an exclusion; null is for ever. */
const BREAKS = [
  ["1 day", "break", { hours: 24 }],
  ["1 week", "break", { hours: 7 * 24 }],
  ["6 weeks", "break", { hours: 42 * 24 }],
  ["6 months", "exclusion", { days: 182 }],
  ["For ever", "exclusion", { days: null }],
];
/** A break that does not end. */
const FOR_EVER = Number.MAX_SAFE_INTEGER;

const path = `/v1/users/${encodeURIComponent(user)}`;

async function show() {
  const [limits, spending] = await Promise.all([api.get(`${path}/limits`), api.get(`${path}/spending`)]);
  showSpent(spending);
  showLimits(limits);
  await showWorth(spending.details);
}

function showSpent({ gifts, purchases }) {
  const rows = gifts.map((gift, place) => [WINDOWS[gift.window], used(gift), used(purchases[place])]);
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

function showLimits({ own, guard, raises, blocked_until, guardian }) {
  const rows = Object.entries(WINDOWS).map(([window, label]) => [
    label,
    ...Object.keys(KINDS).map((kind) => field(`${kind}.${window}`, `${KINDS[kind]}, ${label}`, own[kind][window])),
  ]);
  byId("windows").replaceChildren(...table(["", ...Object.values(KINDS)], rows));
  const caps = Object.entries(CAPS).map(([cap, label]) =>
    el("label", "", "", [el("span", "", label), field(`caps.${cap}`, "", own.caps[cap], 1)]),
  );
  byId("caps").replaceChildren(...caps);
  byId("raises").replaceChildren(...raises.map(raise));
  byId("guard").hidden = !guardian;
  byId("guard").textContent = `Your guardian has set limits too; the lower one counts. ${guarded(guard)}`;
  byId("pause").hidden = !blocked_until;
  const until = blocked_until === FOR_EVER ? "It does not end." : `It ends ${moment(blocked_until)}.`;
  byId("pause-until").textContent = `You can't send gifts or buy coins. ${until}`;
}

function guarded(guard) {
  const said = Object.keys(KINDS).flatMap((kind) =>
    Object.entries(guard[kind])
      .filter(([, limit]) => limit !== null)
      .map(([window, limit]) => `${KINDS[kind]}, ${WINDOWS[window].toLowerCase()}: ${coins(limit)}.`),
  );
  return said.join(" ");
}

/** A raised limit waits for its day, and then to be asked for again. */
function raise({ limit, coins: value, after, before }) {
  const [kind, name] = limit.split(".");
  const what = kind === "caps" ? CAPS[name] : `${KINDS[kind]}, ${WINDOWS[name].toLowerCase()}`;
  const to = value === null ? "no limit" : coins(value);
  if (after > Date.now()) return el("li", "soft", `${what}: ${to} from ${moment(after)} on, if you still want it then.`);
  const confirm = el("button", "", `Yes, ${to}`);
  confirm.type = "button";
  confirm.addEventListener("click", () => attempt(() => save({ [kind]: { [name]: value } })));
  const text = el("span", "", `${what}: do you still want ${to}? You can say so until ${moment(before)}.`);
  return el("li", "row", "", [text, confirm]);
}

/** @param {string} name @param {string} label @param {number | null} value */
function field(name, label, value, least = 0) {
  const input = el("input");
  input.type = "number";
  input.name = name;
  input.min = String(least);
  input.step = "1";
  input.placeholder = "no limit";
  if (label) input.setAttribute("aria-label", label);
  input.defaultValue = value === null ? "" : String(value);
  return input;
}

/** @param {string[]} heads @param {(string | Node)[][]} rows */
function table(heads, rows) {
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

/** Only what was changed is sent: what was not touched must not end a wait for more. */
function changed() {
  const wanted = {};
  for (const input of /** @type {NodeListOf<HTMLInputElement>} */ (byId("own").querySelectorAll("input"))) {
    if (input.value === input.defaultValue) continue;
    const [kind, name] = input.name.split(".");
    wanted[kind] = { ...wanted[kind], [name]: input.value ? input.valueAsNumber : null };
  }
  return wanted;
}

/** The zone is where the viewer is: days, weeks and months are those of its clocks. */
async function save(wanted) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  await api.put(`${path}/limits`, { ...wanted, zone });
  await show();
  say("Saved. What is less holds from now on.", "info");
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

byId("own").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(() => save(changed()));
});
offerBreaks();
start(show);
