/** Tokens, and what an operator does over the HTTP API. */

import crypto from "k6/crypto";
import encoding from "k6/encoding";
import http from "k6/http";

import { uuid7 } from "../../gifting/web/static/lib/keys.js";

const TOKEN_SECONDS = 3600;

/** Who may send gifts. */
const STANDING = { age: 30, region: "US" };

/** A token (HS256), as docs/tokens.md describes it. */
export function issue(secret, user, role) {
  const part = (value) => encoding.b64encode(JSON.stringify(value), "rawurl");
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub: user, role, jti: uuid7(Date.now()), iat: now, exp: now + TOKEN_SECONDS, ...STANDING };
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${crypto.hmac("sha256", secret, signed, "base64rawurl")}`;
}

export class Operator {
  #url;
  #headers;

  constructor(url, secret) {
    this.#url = url;
    this.#headers = { Authorization: `Bearer ${issue(secret, "k6", "operator")}`, "Content-Type": "application/json" };
  }

  openRoom(room) {
    return this.#call("POST", "/v1/rooms", { room, host: `host-${room}`, title: "k6" });
  }

  endRoom(room) {
    return this.#call("DELETE", `/v1/rooms/${room}`);
  }

  grant(user, coins) {
    return this.#call("POST", `/v1/users/${user}/grants`, { coins, key: uuid7(Date.now()), reason: "k6" });
  }

  wallet(user) {
    return this.#call("GET", `/v1/users/${user}/wallet`);
  }

  #call(method, path, body = null) {
    const answer = http.request(method, this.#url + path, body && JSON.stringify(body), { headers: this.#headers });
    if (answer.status >= 400 || answer.status === 0) {
      throw new Error(`${method} ${path}: ${answer.status} ${answer.body || answer.error}`);
    }
    return answer.body ? answer.json() : null;
  }
}
