/** Where this server is: pages and addresses are under one path, which a proxy in front may have put there. */

const BASE = new URL("../../", import.meta.url);

/** The address of a path of this server. @param {string} path such as "/v1/rooms" @returns {string} */
export function at(path) {
  return new URL(path.replace(/^\//, ""), BASE).href;
}
