import type { Context, Hono } from "hono";
import { z } from "zod";
import { fromBase64, toBase64 } from "../keys.ts";
import type { Manager, Opened } from "../manager.ts";
import { Problem } from "../problem.ts";
import { type ApiParts, createApp, keysOfHeader, version } from "./common.ts";

const sendSchema = z.object({
  payload: z.base64(),
  from: z.string().optional(),
  to: z.array(z.string()).nullish(),
});
const receiveSchema = z.object({ key: z.string(), to: z.string().optional() });
const deleteSchema = z.object({ key: z.string() });

/** The API for the GoQuorum node beside this manager. It reads payloads, so nobody else may reach it. */
export function createNodeApi(parts: ApiParts): Hono {
  const app = createApp(parts);
  app.get("/upcheck", (context) => context.text("I'm up!"));
  shared(app, parts.manager);
  if (parts.mode === "tessera") {
    tessera(app, parts.manager);
  }
  return app;
}

/** Constellation's calls, which Tessera has taken over. Without `/version` GoQuorum takes it for Constellation. */
function shared(app: Hono, manager: Manager): void {
  app.post("/sendraw", async (context) => {
    const payload = new Uint8Array(await context.req.arrayBuffer());
    const to = keysOfHeader(context.req.header("c11n-to"));
    return context.text(await manager.send(payload, context.req.header("c11n-from"), to));
  });
  app.get("/receiveraw", async (context) => {
    const { payload } = await opened(manager, context.req.header("c11n-key") ?? "");
    return context.body(new Uint8Array(payload), 200, { "content-type": "application/octet-stream" });
  });
  app.post("/send", async (context) => {
    const { payload, from, to } = sendSchema.parse(await context.req.json());
    const key = await manager.send(fromBase64(payload), from, to ?? []);
    return context.json({ key, managedParties: [manager.ownKey], senderKey: manager.ownKey });
  });
  app.post("/receive", async (context) => {
    const { key } = receiveSchema.parse(await context.req.json());
    return context.json({ payload: toBase64((await opened(manager, key)).payload) });
  });
  app.post("/delete", async (context) => {
    const { key } = deleteSchema.parse(await context.req.json());
    if (!(await manager.forget(key))) {
      throw new Problem(404, `there is no payload ${key}`);
    }
    return context.text("");
  });
}

/** What the client of GoQuorum 22.7.4 (private/engine/tessera) calls beyond that, of the API's version 1.0. */
function tessera(app: Hono, manager: Manager): void {
  app.get("/version", (context) => context.text(version));
  app.get("/version/api", (context) => context.json(["1.0"]));
  app.get("/keys", (context) => context.json({ keys: [{ key: manager.ownKey }] }));
  app.post("/storeraw", (context) => storeRaw(context, manager));
  app.post("/sendsignedtx", async (context) => {
    const hash = toBase64(new Uint8Array(await context.req.arrayBuffer()));
    const sent = await manager.sendSigned(hash, keysOfHeader(context.req.header("c11n-to")));
    return context.text(sent, 200, { tesserasender: manager.ownKey, tesseramanagedparties: manager.ownKey });
  });
  // The hash is base64 in one path segment; its slashes come percent-encoded and must stay so until it is cut out.
  app.on(["GET", "DELETE"], "/transaction/*", async (context) => await transaction(context, manager));
}

async function transaction(context: Context, manager: Manager): Promise<Response> {
  const { pathname } = new URL(context.req.url);
  const [, encoded = "", what] = /^\/transaction\/([^/]+)(?:\/(\w+))?$/.exec(pathname) ?? [];
  const hash = decodeURIComponent(encoded);
  if (context.req.method === "DELETE") {
    return (await manager.forget(hash)) ? context.body(null, 204) : context.notFound();
  }
  const { payload, sender, parties } = await opened(manager, hash);
  switch (what) {
    case undefined:
      return context.json({
        payload: toBase64(payload),
        affectedContractTransactions: [],
        execHash: "",
        privacyFlag: 0,
        managedParties: [manager.ownKey],
        senderKey: sender,
      });
    case "isSender":
      return context.text(String(sender === manager.ownKey));
    case "participants":
      return context.text(parties.join(","));
    default:
      return context.notFound();
  }
}

/** @throws Problem 404 when this member is no party to it, which is no error for GoQuorum. */
async function opened(manager: Manager, hash: string): Promise<Opened> {
  const found = await manager.receive(hash);
  if (found === undefined) {
    throw new Problem(404, `this member is no party to a payload ${hash}`);
  }
  return found;
}

const storeRawSchema = z.object({ payload: z.base64(), from: z.string().optional() });

/** `POST /storeraw`: keeps a payload for a transaction that is signed elsewhere. */
export async function storeRaw(context: Context, manager: Manager): Promise<Response> {
  const { payload, from } = storeRawSchema.parse(await context.req.json());
  const key = await manager.storeRaw(fromBase64(payload), from);
  return context.json({ key, senderKey: manager.ownKey });
}
