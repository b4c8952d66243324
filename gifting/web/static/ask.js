/** The HTTP API, as pages ask it. */

import { at } from "./lib/base.js";
import { GiftingError, refusal } from "./lib/connection.js";

export class Api {
  #token;

  /** @param {string} token */
  constructor(token) {
    this.#token = token;
  }

  /** @param {string} path */
  get(path) {
    return this.#call("GET", path);
  }

  /** @param {string} path @param {object} body */
  post(path, body) {
    return this.#call("POST", path, body);
  }

  /** @param {string} path @param {object} body */
  put(path, body) {
    return this.#call("PUT", path, body);
  }

  /** @param {string} path */
  delete(path) {
    return this.#call("DELETE", path);
  }

  /** What is no JSON. @param {string} path */
  async file(path) {
    return (await this.#ask("GET", path)).blob();
  }

  /** @param {string} method @param {string} path @param {object} [body] */
  async #call(method, path, body) {
    return (await this.#ask(method, path, body)).json().catch(() => ({}));
  }

  /** @param {string} method @param {string} path @param {object} [body] */
  async #ask(method, path, body) {
    const headers = { ...(this.#token && { Authorization: `Bearer ${this.#token}` }) };
    if (body) headers["Content-Type"] = "application/json";
    const reply = await fetch(at(path), { method, headers, ...(body && { body: JSON.stringify(body) }) }).catch(() => {
      throw new GiftingError("disconnected", "There is no connection to the server.", true);
    });
    if (reply.ok) return reply;
    const told = await reply.json().catch(() => ({}));
    throw refusal({ temporary: reply.status >= 500, ...told, message: told.detail });
  }
}
