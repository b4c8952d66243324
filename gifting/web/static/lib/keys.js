/** Gift keys (UUIDv7), the page's token, and what a token says about itself. */

const STORED = "gifting.token:";

/**
 * A new UUIDv7 (RFC 9562).
 * @param {number} now milliseconds since 1970, by the server's clock
 * @returns {string} in the usual 36-character form
 */
export function uuid7(now) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let rest = Math.floor(now);
  for (let index = 5; index >= 0; index--) {
    bytes[index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/**
 * The claims inside a JWT. Nothing is verified: the server does that.
 * @param {string} token
 * @returns {{sub?: string, room?: string, role?: string, name?: string, exp?: number, region?: string}} empty if it is no JWT
 */
export function claims(token) {
  try {
    const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(part), (char) => char.charCodeAt(0));
    return Object(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return {};
  }
}

/**
 * The token of this page's address (`#token=…`), taken out of it at once: addresses are kept in histories, shown on
 * screens and sent on. The tab remembers it for a reload; a newer one in the address wins.
 * @param {(token: string) => boolean} [inQuery] whether a token may also come as `?token=…`, which servers log
 * @returns {string} "" if there is none
 */
export function takeToken(inQuery = () => false) {
  const url = new URL(location.href);
  const fragment = new URLSearchParams(url.hash.slice(1));
  const asked = url.searchParams.get("token") ?? "";
  const given = fragment.get("token") || (inQuery(asked) ? asked : "");
  fragment.delete("token");
  url.searchParams.delete("token");
  url.hash = fragment.toString();
  history.replaceState(history.state, "", url);
  // A new fragment alone loads nothing.
  addEventListener("hashchange", () => new URLSearchParams(location.hash.slice(1)).has("token") && location.reload());
  if (given) sessionStorage.setItem(STORED + url.pathname, given);
  const token = given || sessionStorage.getItem(STORED + url.pathname) || "";
  return /^[\w.-]+$/.test(token) ? token : "";
}
