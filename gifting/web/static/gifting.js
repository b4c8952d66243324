/** The public address of the client: `import { GiftingClient } from "/static/gifting.js"`. */

export * from "./lib/gifting.js";
