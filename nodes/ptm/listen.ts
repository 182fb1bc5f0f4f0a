import { chmod, unlink } from "node:fs/promises";
import type { Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import type { Hono } from "hono";
import type { Address } from "./config.ts";

/** Starts a server; done means that it takes connections. A socket that a killed process left is taken over. */
export async function listen(app: Hono, address: Address): Promise<Server> {
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  if ("socket" in address) {
    await clear(address.socket);
  }
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen("socket" in address ? { path: address.socket } : address, resolve);
  });
  if ("socket" in address) {
    await chmod(address.socket, 0o660);
  }
  return server;
}

/** `http://host:port` or `unix:/path` of a server that listens. */
export function addressOf(server: Server): string {
  const address = server.address() as AddressInfo | string;
  return typeof address === "string" ? `unix:${address}` : `http://${address.address}:${address.port}`;
}

/** Stops taking connections, lets requests under way end, and returns when they have. */
export async function close(server: Server): Promise<void> {
  const sweep = setInterval(() => server.closeIdleConnections(), 50); // those whose last request has just ended
  await new Promise<void>((resolve) => server.close(() => resolve()));
  clearInterval(sweep);
}

async function clear(socket: string): Promise<void> {
  const answer = await new Promise<"serves" | NodeJS.ErrnoException>((resolve) => {
    const probe = connect(socket, () => {
      probe.destroy();
      resolve("serves");
    });
    probe.once("error", resolve);
  });
  if (answer === "serves") {
    throw new Error(`another process serves the socket ${socket}`);
  }
  if (answer.code === "ECONNREFUSED") {
    await unlink(socket);
  } else if (answer.code !== "ENOENT") {
    throw answer;
  }
}
