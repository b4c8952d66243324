/** Gift keys (UUIDv7) and what a token says about itself. */

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
 * @returns {{sub?: string, room?: string, role?: string, name?: string, exp?: number}} empty if it is no JWT
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
