import { readFile } from "node:fs/promises";
import {
  type ServerType,
  serve,
  upgradeWebSocket,
  type WebSocketLike,
  type WebSocketServerLike,
} from "@hono/node-server";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { secureHeaders } from "hono/secure-headers";
import type { WSEvents } from "hono/ws";
import { type WebSocket, WebSocketServer } from "ws";
import { z } from "zod";
import { Refused } from "./contract.ts";
import { type Course, Unavailable } from "./course.ts";
import { log, messageOf } from "./log.ts";

const files = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/style.css": ["style.css", "text/css; charset=utf-8"],
  "/app.js": ["app.js", "text/javascript; charset=utf-8"],
  "/track.js": ["track.js", "text/javascript; charset=utf-8"],
  "/icon.svg": ["icon.svg", "image/svg+xml"],
} as const;

const playerSchema = z.int().min(0).max(31);
const betSchema = z.strictObject({ player: playerSchema, horse: z.int().min(0), amount: z.int().min(1).max(1e9) });
const readySchema = z.strictObject({ player: playerSchema });

/** Bytes a reader may be behind before it is let go; it connects again and is told the newest state. */
const mostBehind = 1_000_000;

/** A server that is listening. */
export interface RunningServer {
  readonly port: number;
  /** Ends open pages' connections and waits for requests that are under way. */
  close(): Promise<void>;
}

/** Serves the page, what it asks for, and the live state on `/live`. */
export async function startServer(course: Course, port: number): Promise<RunningServer> {
  const readers = new WebSocketServer({ noServer: true, maxPayload: 1_024 });
  const app = await application(course);
  const heartbeat = setInterval(() => {
    for (const reader of readers.clients) reader.ping(); // or proxies take a quiet connection for a dead one
  }, 20_000);
  const server = await new Promise<ServerType>((resolve, reject) => {
    const started = serve({ fetch: app.fetch, port, websocket: { server: readers as WebSocketServerLike } }, () =>
      resolve(started),
    );
    started.once("error", reject);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    async close() {
      clearInterval(heartbeat);
      const all = [...readers.clients];
      for (const reader of all) reader.close(1001, "the server stops");
      const patience = setTimeout(() => all.forEach((reader) => void reader.terminate()), 2_000);
      await new Promise((resolve) => server.close(resolve));
      clearTimeout(patience);
    },
  };
}

async function application(course: Course): Promise<Hono> {
  const app = new Hono();
  app.use(
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
      // Whether there is TLS is the ingress's to say, and without it browsers complain of these.
      strictTransportSecurity: false,
      crossOriginOpenerPolicy: false,
      originAgentCluster: false,
    }),
  );
  for (const [path, [name, type]] of Object.entries(files)) {
    const body = await readFile(new URL(`page/${name}`, import.meta.url), "utf8");
    app.get(path, (c) => c.body(body, 200, { "content-type": type, "cache-control": "no-cache" }));
  }
  app.get("/healthz", (c) => c.text("ok\n"));
  app.get("/readyz", (c) => (course.ready ? c.text("ok\n") : c.text("the race is not on the chain yet\n", 503)));
  app.get("/api/state", (c) => c.body(course.text, 200, { "content-type": "application/json" }));
  app.use("/api/*", bodyLimit({ maxSize: 4_096 }));
  app.post("/api/bets", async (c) => {
    const { player, horse, amount } = await bodyOf(c, betSchema);
    return c.json(await course.bet(player, horse, amount), 201);
  });
  app.post("/api/ready", async (c) => c.json(await course.setReady((await bodyOf(c, readySchema)).player)));
  app.get(
    "/live",
    async (c, next) => (fromElsewhere(c) ? c.json({ error: "This page may not listen here." }, 403) : await next()),
    upgradeWebSocket(() => live(course)),
  );
  app.onError((error, c) => answerTo(error, c));
  return app;
}

/** Sends every state there is, from the newest on, for as long as the connection is open. */
function live(course: Course): WSEvents<WebSocketLike> {
  let stop = () => {};
  return {
    onOpen(_event, { raw }) {
      const reader = raw as WebSocket; // of the server that was given
      reader.send(course.text);
      stop = course.listen((text) => {
        if (reader.bufferedAmount > mostBehind) reader.terminate();
        else reader.send(text);
      });
    },
    onClose: () => stop(),
  };
}

class BadRequest extends Error {}

/** A body that is not declared as JSON is refused: a page from elsewhere can send such a one without being asked. */
async function bodyOf<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  if (fromElsewhere(c) || c.req.header("content-type")?.startsWith("application/json") !== true) {
    throw new BadRequest("The body must be application/json and come from this page.");
  }
  const body: unknown = await c.req.json().catch(() => undefined);
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw new BadRequest(z.prettifyError(parsed.error));
  return parsed.data;
}

/** Whether a browser says that a page of another host is asking. */
function fromElsewhere(c: Context): boolean {
  const origin = c.req.header("origin");
  return origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== c.req.header("host"));
}

function answerTo(error: Error, c: Context): Response {
  if (error instanceof BadRequest) return c.json({ error: error.message }, 400);
  if (error instanceof Refused) return c.json({ error: error.message }, 409);
  if (error instanceof Unavailable) return c.json({ error: error.message }, 503);
  log("error", "a request failed", { path: c.req.path, problem: messageOf(error) });
  return c.json({ error: `The chain did not take it: ${messageOf(error)}` }, 502);
}
