import { type ServerType, serve } from "@hono/node-server";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { CID } from "multiformats/cid";
import { z } from "zod";
import type { Chain } from "./chain.ts";
import type { AnchorRequest, Queue } from "./queue.ts";
import { genesisOf } from "./stream-id.ts";

const requestSchema = z.object({ streamId: z.string(), cid: z.string(), timestamp: z.string().optional() });

/** What ceramic-anchor-service offers to Ceramic nodes, as far as js-ceramic 6 asks for it. */
export function application(queue: Queue, chain: Chain): Hono {
  const app = new Hono();
  app.get("/api/v0/healthcheck", (context) => context.text("Alive!"));
  app.get("/api/v0/service-info/supported_chains", async (context) =>
    context.json({ supportedChains: [await chain.id()] }),
  );
  app.post("/api/v0/requests", bodyLimit({ maxSize: 1_000_000 }), async (context) => {
    const parsed = requestSchema.safeParse(await context.req.json().catch(() => undefined));
    if (!parsed.success) return context.json({ error: z.prettifyError(parsed.error) }, 400);
    const { streamId, cid } = parsed.data;
    const problem = problemOf(streamId, cid);
    if (problem !== undefined) return context.json({ error: problem }, 400);
    return context.json(presented(await queue.add(streamId, cid)), 201);
  });
  app.get("/api/v0/requests/:cid", (context) => {
    const request = queue.get(context.req.param("cid"));
    return request === undefined
      ? context.json({ error: "there is no request for that CID" }, 404)
      : context.json(presented(request));
  });
  return app;
}

function problemOf(streamId: string, cid: string): string | undefined {
  try {
    genesisOf(streamId);
    CID.parse(cid);
    return undefined;
  } catch (error) {
    return `streamId or cid cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** A request as its node is told of it. */
function presented({ cid, streamId, createdAtMs, updatedAtMs, state }: AnchorRequest): object {
  const common = { id: cid, status: state.status, streamId, cid, createdAt: createdAtMs, updatedAt: updatedAtMs };
  switch (state.status) {
    case "PENDING":
      return { ...common, message: "Request is pending." };
    case "REPLACED":
      return { ...common, message: "A newer tip of the stream was anchored instead." };
    case "COMPLETED":
      return {
        ...common,
        message: "CID successfully anchored.",
        anchorCommit: { cid: state.anchorCid },
        witnessCar: state.witness,
      };
  }
}

/** Serves on a port; 0 takes a free one. */
export async function listen(app: Hono, port: number): Promise<{ readonly server: ServerType; readonly port: number }> {
  return await new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, port, hostname: "0.0.0.0" }, (address) =>
      resolve({ server, port: address.port }),
    );
    server.once("error", reject);
  });
}
