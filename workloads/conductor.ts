import { readFile } from "node:fs/promises";
import { serve } from "@hono/node-server";
import { z } from "zod";
import { exitCodes, messageOf } from "../schema/errors.ts";
import { inCluster, Kubernetes, type KubernetesAccess } from "./conductor/kubernetes.ts";
import { Runs } from "./conductor/runs.ts";
import { createServer } from "./conductor/server.ts";
import { parseRunKey } from "./conductor/token.ts";
import { systemClock } from "./core/clock.ts";
import { loadConnector } from "./core/connector.ts";
import { log } from "./core/log.ts";

const environmentSchema = z.object({
  ORRERY_DATA_DIR: z.string().min(1),
  ORRERY_RUN_KEY_FILE: z.string().min(1),
  ORRERY_NAMESPACE: z.string().min(1),
  ORRERY_HTTP_PORT: z.coerce.number().int().min(0).max(65_535).default(8070),
  /** Outside a cluster only: an API server without TLS, and a file with its token. */
  ORRERY_KUBERNETES_URL: z.url({ protocol: /^http$/ }).optional(),
  ORRERY_KUBERNETES_TOKEN_FILE: z.string().min(1).optional(),
});

type Environment = z.output<typeof environmentSchema>;

async function accessOf(environment: Environment): Promise<KubernetesAccess> {
  const { ORRERY_KUBERNETES_URL: url, ORRERY_KUBERNETES_TOKEN_FILE: tokenFile } = environment;
  return url !== undefined && tokenFile !== undefined ? { url, tokenFile } : await inCluster(process.env);
}

async function main(): Promise<void> {
  const environment = environmentSchema.parse(process.env);
  const runKey = parseRunKey(await readFile(environment.ORRERY_RUN_KEY_FILE, "utf8"));
  const now = (): number => systemClock.nowUs() / 1000;
  const kubernetes = new Kubernetes(await accessOf(environment));
  const runs = new Runs(environment.ORRERY_DATA_DIR, environment.ORRERY_NAMESPACE, {
    kubernetes,
    connector: loadConnector,
    now,
  });
  await runs.resume();
  const app = createServer({ runs, runKey, kubernetes, now, joinPollMs: 20_000 });
  const server = serve({ fetch: app.fetch, port: environment.ORRERY_HTTP_PORT }, ({ port }) =>
    log("info", "the conductor serves", { port, namespace: environment.ORRERY_NAMESPACE }),
  );
  // Everything that matters is on the volume at any moment, so there is nothing to finish.
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      log("info", "the conductor stops", { signal });
      server.close();
      process.exit(exitCodes.pass);
    });
  }
}

await main().catch((error: unknown) => {
  const problem = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
  log("error", "the conductor cannot start", { problem });
  process.exit(exitCodes.badInput);
});
