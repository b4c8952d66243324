/** What browsers have, k6 has not, and the client (gifting.js) uses. Import it first. */

import { WebSocket } from "k6/websockets";

class Address {
  constructor(text) {
    this.href = String(text);
  }
}

globalThis.WebSocket ??= WebSocket;
globalThis.URL ??= Address;
globalThis.performance ??= { now: () => Date.now() };
globalThis.reportError ??= (error) => console.error(error);
