/** What a viewer is told. The server's own messages are for those who write clients. */

import { coins } from "./dom.js";
import { moment } from "./money.js";

const WORDS = {
  insufficient_coins: "You don't have enough coins for this gift. Nothing was charged.",
  wallet_full: "The host can't take this gift just now. Nothing was charged.",
  own_room: "This is your own stream: you can't send gifts to yourself.",
  unknown_gift: "This gift is no longer there. Reload the page for the newest ones.",
  not_charged: "The gift was not sent, and nothing was charged. You can send it again.",
  key_expired: "The gift was not sent just now. Please send it again.",
  room_not_found: "There is no stream at this address. Check the link.",
  room_ended: "This stream has ended.",
  not_joined: "You are not connected to this stream yet. Try again in a moment.",
  forbidden: "You may not do this in this stream.",
  bad_token: "You are not signed in any more. Open the stream again from where you came.",
  age_required: "To send gifts, your age has to be confirmed first, and you have to be old enough.",
  region_not_allowed: "Gifts are not offered where you are.",
  account_not_allowed: "This kind of account can't send gifts.",
  banned: "This account is closed for gifts, comments and purchases. Please ask support.",
  account_frozen: "A payment of yours was taken back or is in dispute. You can spend again once that is settled.",
  on_break: "You are taking a break from spending. Nothing was charged.",
  gift_cap: "That is more than you may spend on one gift. Nothing was charged.",
  streak_cap: "That is more than you may send in one go. Nothing was charged.",
  spending_too_fast: "That was a lot at once. Nothing was charged. Wait a little, then try again.",
  spending_limit: "That would pass the limit you have set. Nothing was charged.",
  guardian_limit: "That would pass the limit your guardian has set. Nothing was charged.",
  platform_limit: "That would pass the limit for your age and region. Nothing was charged.",
  confirm_required: "Please confirm this gift first. Nothing was charged so far.",
  gifting_off: "The host takes no gifts just now. Nothing was charged.",
  room_age: "This stream is for older viewers.",
  room_region: "This stream takes no gifts from where you are. Nothing was charged.",
  room_max_gift: "The host takes no gifts this large. Nothing was charged.",
  blocked: "You can't send gifts or comments in this stream.",
  muted: "You can't comment in this stream for a while.",
  list_full: "There is no room for more of these. Take something off the list first.",
  slow_mode: "Comments need a pause between them here. Wait a moment, then try again.",
  unknown_package: "This offer is no longer there. Reload the page for the newest ones.",
  limits_unasked: "Before you buy for the first time, please choose a limit for yourself, or none.",
  purchase_limit: "That would pass the limit for buying coins. Nothing was charged.",
  purchase_cap: "More than may be paid for coins in your region for now. Nothing was charged.",
  price_too_low: "Too small an amount to be paid this way: choose more coins, or pay in another way.",
  wallet_max: "You have as many coins as you may have. Spend some first.",
  too_many_orders: "You have begun too many purchases. Pay one, or wait until they run out.",
  promotion_over: "This offer is used up. Reload the page for the newest ones.",
  not_withdrawable: "Nothing of this purchase can be given back: its coins are spent, or the time for that is over.",
  case_not_found: "There is no such request.",
  gift_not_found: "There is no such gift.",
  case_closed: "This request was decided already.",
  too_many_cases: "You have asked for help with several things already. Please wait for an answer first.",
  provider_failed: "The payment service did not answer. No coins were issued. Try again in a moment.",
  second_factor_required: "For this you have to sign in once more with your second factor, and then open this page anew.",
  not_enough_diamonds: "So many diamonds are not available yet.",
  payout_too_small: "That is too little to be paid out. Wait until more is available.",
  payout_max: "No more is paid out in a day.",
  kyc_required: "Before anything is paid out, your identity has to be verified.",
  no_destination: "Say first where your money goes.",
  destination_new: "Where your money goes was changed, so nothing is paid out for now.",
  payouts_held: "Payouts are stopped. Please ask support.",
  payouts_off: "Nothing is paid out here.",
  no_archive: "There are no statements here.",
  archive_unavailable: "Statements can't be read just now. Try again in a moment.",
  no_pdf: "Statements can't be printed here. Save it as CSV instead.",
  bad_period: "This has not begun yet.",
  rate_limited: "That was a little fast. Wait a moment, then try again.",
  too_many_pending: "That was a little fast. Wait a moment, then try again.",
  too_many_connections: "This stream is open too often at once. Close it elsewhere, then reload the page.",
  message_too_large: "That was too long. Please shorten it.",
  bad_message: "That can't be sent as it is. Please write it differently.",
  disconnected: "There is no connection right now. Try again in a moment.",
  timeout: "There was no answer in time. Try again in a moment.",
  outcome_unknown: "Nobody knows yet whether this was sent. Try again in a moment.",
  unconfirmed: "Nobody knows yet whether this arrived. Look before you send it again.",
};

/** A time that never comes. */
export const FOR_EVER = Number.MAX_SAFE_INTEGER;
const FITS = "If you spend nothing more until then, it fits again";
const ALIKE = { token_expired: "bad_token", token_revoked: "bad_token", token_in_url: "bad_token" };
const LATER = "That did not work just now. Try again in a moment.";
const NEVER = "That did not work. Reload the page, and try again.";

/** Refusals that end with time, and what is said of it. */
const ENDS = { payout_max: "The rest can be asked for from", destination_new: "That ends", on_break: "It ends", muted: "It ends", platform_limit: FITS, spending_limit: FITS, guardian_limit: FITS, purchase_limit: FITS };
const CAPPED = ["gift_cap", "streak_cap", "room_max_gift"];

/**
 * What went wrong, in a viewer's words, and when it ends or what is allowed, where that is known.
 * @param {{code?: string, temporary?: boolean, until?: number, cap?: number}} error
 */
export function words({ code = "", temporary = false, until = 0, cap = 0 }) {
  const text = WORDS[ALIKE[code] ?? code] ?? (temporary ? LATER : NEVER);
  return [text, ...ending(code, until), ...allowed(code, cap)].join(" ");
}

/** @param {string} code @param {number} until */
function ending(code, until) {
  const ends = ENDS[code];
  if (!ends) return [];
  if (until === FOR_EVER) return ["It does not end."];
  if (until) return [`${ends} ${moment(until)}.`];
  return ends === FITS ? ["It is more than that limit allows at all."] : [];
}

/** @param {string} code @param {number} cap */
function allowed(code, cap) {
  if (!CAPPED.includes(code) || !cap) return [];
  return [`At most: ${coins(cap)}${code === "streak_cap" ? " together" : ""}.`];
}
