import type { Hono } from "hono";
import type { PayloadStore } from "../store.ts";
import { type ApiParts, createApp, keysOfHeader, version } from "./common.ts";
import { storeRaw } from "./node.ts";

/**
 * The API for clients that sign transactions themselves, and for those who watch: payloads go in here, none comes out.
 * Tessera's "third party" API has `/storeraw`; with Constellation a client has to name the parties at once, `/sendraw`.
 */
export function createClientApi(parts: ApiParts & { readonly store: PayloadStore }): Hono {
  const { manager, metrics, mode, ready, store } = parts;
  const app = createApp(parts);
  app.get("/healthz", (context) => context.text("ok\n"));
  app.get("/readyz", (context) => (ready() ? context.text("ready\n") : context.text("stopping\n", 503)));
  app.get("/metrics", (context) => context.text(metrics.text(store.count)));
  app.get("/upcheck", (context) => context.text("I'm up!"));
  app.get("/keys", (context) => context.json({ keys: [{ key: manager.ownKey }] }));
  app.get("/partyinfo/keys", (context) => context.json({ keys: manager.memberKeys.map((key) => ({ key })) }));
  if (mode === "tessera") {
    app.get("/version", (context) => context.text(version));
    app.post("/storeraw", (context) => storeRaw(context, manager));
  } else {
    app.post("/sendraw", async (context) => {
      const payload = new Uint8Array(await context.req.arrayBuffer());
      return context.text(await manager.send(payload, undefined, keysOfHeader(context.req.header("c11n-to"))));
    });
  }
  return app;
}
