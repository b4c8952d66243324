/** Puts the client that the server serves into the package, with the licence. */

import { cpSync, rmSync } from "node:fs";

const lib = new URL("lib/", import.meta.url);
rmSync(lib, { recursive: true, force: true });
cpSync(new URL("../gifting/web/static/lib/", import.meta.url), lib, { recursive: true });
cpSync(new URL("../LICENSE", import.meta.url), new URL("LICENSE", import.meta.url));
