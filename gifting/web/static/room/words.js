/** What a viewer is told. The server's own messages are for those who write clients. */

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

const ALIKE = { token_expired: "bad_token", token_revoked: "bad_token", token_in_url: "bad_token" };
const LATER = "That did not work just now. Try again in a moment.";
const NEVER = "That did not work. Reload the page, and try again.";

/**
 * What went wrong, in a viewer's words.
 * @param {{code?: string, temporary?: boolean}} error
 */
export function words({ code = "", temporary = false }) {
  return WORDS[ALIKE[code] ?? code] ?? (temporary ? LATER : NEVER);
}
