// A Socket.IO server whose clients name a room when they connect: viewers join it, publishers send events to it.
// node server.js PORT [REDIS_SOCKET]
"use strict";

const { createServer } = require("node:http");
const { createShardedAdapter } = require("@socket.io/redis-adapter");
const { createClient } = require("redis");
const { Server } = require("socket.io");

async function adapterOn(path) {
  const publishing = createClient({ socket: { path } });
  const subscribed = publishing.duplicate();
  for (const client of [publishing, subscribed]) {
    client.on("error", (error) => console.error(error));
    await client.connect();
  }
  return createShardedAdapter(publishing, subscribed);
}

async function main(port, redis) {
  const http = createServer();
  const io = new Server(http, {
    adapter: redis ? await adapterOn(redis) : undefined,
    httpCompression: false,
    perMessageDeflate: false,
    serveClient: false,
    transports: ["websocket"],
  });
  // as Socket.IO's page on memory recommends: the first request of a connection is not needed any more
  io.engine.on("connection", (connection) => { connection.request = null; });
  io.on("connection", async (socket) => {
    const { room, publishes } = socket.handshake.auth;
    if (publishes) socket.on("event", (body) => io.to(room).emit("event", body));
    else await socket.join(room);
    socket.emit("in");
  });
  http.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
