/**
 * A stand-in for ceramic-anchor-service on a chain of one's own: it takes requests, anchors them in batches by real
 * transactions, and hands out witnesses. `CAS_PORT`, `CAS_DATA_DIR`, `CAS_BATCH_LINGER_MS` and `ETH_RPC_URL` say how.
 */
import { z } from "zod";
import { anchorAll } from "./anchoring.ts";
import { Chain } from "./chain.ts";
import { log, messageOf } from "./log.ts";
import { Queue } from "./queue.ts";
import { application, listen } from "./server.ts";

const settingsSchema = z.object({
  CAS_PORT: z.coerce.number().int().min(0).max(65_535).default(8081),
  CAS_DATA_DIR: z.string().min(1),
  CAS_BATCH_LINGER_MS: z.coerce.number().min(0).default(1_000),
  ETH_RPC_URL: z.url(),
});

async function main(): Promise<void> {
  const settings = settingsSchema.parse(process.env);
  const queue = await Queue.open(settings.CAS_DATA_DIR);
  const chain = new Chain(settings.ETH_RPC_URL);
  const { server, port } = await listen(application(queue, chain), settings.CAS_PORT);
  log("info", "the anchor service serves: a stand-in for ceramic-anchor-service", {
    port,
    pending: queue.pending().length,
  });
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort());
  await anchorAll(queue, chain, { lingerMs: settings.CAS_BATCH_LINGER_MS, batchSize: 1_024 }, stop.signal);
  server.close();
  await queue.close();
  log("info", "the anchor service has stopped");
  process.exit(0); // connections that nodes keep open would hold it
}

try {
  await main();
} catch (error) {
  const problem = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
  log("error", "the anchor service cannot go on", { problem });
  process.exit(3);
}
