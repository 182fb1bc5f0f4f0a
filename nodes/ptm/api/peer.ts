import type { Hono } from "hono";
import { envelopeSchema } from "../envelope.ts";
import { type ApiParts, createApp } from "./common.ts";

/** The API for other members: one call, whose request and answer are sealed by the keys of both sides. */
export function createPeerApi(parts: ApiParts): Hono {
  const app = createApp(parts);
  app.post("/v1/push", async (context) => {
    const envelope = envelopeSchema.parse(await context.req.json());
    return context.json(await parts.manager.take(envelope));
  });
  return app;
}
