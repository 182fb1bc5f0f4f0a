import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { type Context, Hono } from "hono";
import { z } from "zod";
import { messageOf } from "../../schema/errors.ts";
import { joinRequestSchema, progressSchema, runTokenHeader } from "../../schema/run.ts";
import { log } from "../core/log.ts";
import type { Kubernetes } from "./kubernetes.ts";
import { metricsText } from "./metrics.ts";
import { type Run, RunConflict } from "./run.ts";
import type { Runs } from "./runs.ts";
import { FileRefused, isFull } from "./store.ts";
import { isRunToken } from "./token.ts";

export interface ServerOptions {
  readonly runs: Runs;
  readonly runKey: Buffer;
  readonly kubernetes: Pick<Kubernetes, "kubelets">;
  readonly now: () => number;
  /** How long a worker waits at the barrier before it is told to ask again. */
  readonly joinPollMs: number;
}

type Variables = { run: Run };
type RunContext = Context<{ Variables: Variables }>;

const runPath = "/v1/runs/:run{[a-z0-9][a-z0-9-]{0,47}}";
const digestPattern = /^[0-9a-f]{64}$/;

/** The conductor's HTTP interface, as schema/run.ts describes it. */
export function createServer({
  runs,
  runKey,
  kubernetes,
  now,
  joinPollMs,
}: ServerOptions): Hono<{ Variables: Variables }> {
  const app = new Hono<{ Variables: Variables }>();
  app.get("/healthz", (context) => context.text("ok\n"));
  app.get("/readyz", (context) => context.text("ready\n"));
  app.get("/metrics", async (context) => context.text(metricsText(await runs.all())));
  app.get("/v1/time", (context) => {
    const receivedAtMs = now();
    return context.json({ receivedAtMs, sentAtMs: now() });
  });

  app.get("/v1/nodes", async (context) => {
    const kubelets = await kubernetes.kubelets();
    return context.json(kubelets.map(({ node, address }) => ({ targets: [address], labels: { node } })));
  });

  app.use(`${runPath}/*`, async (context, next) => {
    const name = context.req.param("run");
    if (!isRunToken(runKey, name, context.req.header(runTokenHeader))) {
      return context.json({ error: `run ${name}: the header ${runTokenHeader} does not hold its token` }, 401);
    }
    const run = await runs.find(name);
    if (run === undefined) {
      return context.json({ error: `there is no run ${name}: no ConfigMap run-${name} in this namespace` }, 404);
    }
    context.set("run", run);
    return await next();
  });

  app.post(`${runPath}/workers/:worker{[0-9]{1,4}}/join`, async (context) => {
    const who = joinRequestSchema.parse(await context.req.json());
    const startAtMs = await context.var.run.join(workerOf(context), who, joinPollMs);
    return startAtMs === undefined ? context.body(null, 202) : context.json({ startAtMs });
  });
  app.post(`${runPath}/workers/:worker{[0-9]{1,4}}/progress`, async (context) => {
    context.var.run.progress(workerOf(context), progressSchema.parse(await context.req.json()));
    return context.body(null, 204);
  });
  app.put(`${runPath}/workers/:worker{[0-9]{1,4}}/files/:name`, takeFile);
  app.post(`${runPath}/workers/:worker{[0-9]{1,4}}/done`, async (context) => {
    await context.var.run.done(workerOf(context));
    return context.body(null, 204);
  });
  app.get(`${runPath}/status`, (context) => context.json(context.var.run.status()));
  app.get(`${runPath}/files`, async (context) => context.json({ files: await context.var.run.store.list() }));
  app.get(`${runPath}/files/:path{.+}`, sendFile);
  app.notFound((context) => context.json({ error: `there is no ${context.req.method} ${context.req.path}` }, 404));
  app.onError((error, context) => {
    if (error instanceof RunConflict || error instanceof FileRefused) {
      return context.json({ error: error.message }, error.status);
    }
    if (error instanceof z.ZodError || error instanceof SyntaxError) {
      const problem = error instanceof z.ZodError ? z.prettifyError(error) : error.message;
      return context.json({ error: `the body of ${context.req.path} is not as agreed: ${problem}` }, 400);
    }
    if (isFull(error)) {
      const problem = `the conductor's volume is full: ${messageOf(error)}. Free it, or give it more room (\`kubectl get pvc\`), then run again`;
      log("error", problem, { path: context.req.path });
      (context.var.run as Run | undefined)?.fail(problem);
      return context.json({ error: problem }, 507);
    }
    log("error", "a request failed", { path: context.req.path, error: messageOf(error) });
    return context.json({ error: messageOf(error) }, 500);
  });
  return app;
}

const workerOf = (context: RunContext): number => Number(context.req.param("worker"));

async function takeFile(context: RunContext): Promise<Response> {
  const { run } = context.var;
  const worker = workerOf(context);
  if (worker >= run.spec.workers) {
    throw new RunConflict(404, `run ${run.spec.run} has no worker ${worker}`);
  }
  const path = `workers/${worker}/${context.req.param("name") ?? ""}`;
  const sha256 = context.req.header("x-orrery-sha256") ?? "";
  if (!digestPattern.test(sha256)) {
    throw new FileRefused(400, `${path}: the header x-orrery-sha256 must hold the body's SHA-256, 64 hex digits`);
  }
  run.assertOpenFor(path, (await run.store.locate(path)) !== undefined);
  const body = context.req.raw.body as ReadableStream | null;
  await run.store.keep(path, body ?? (Readable.toWeb(Readable.from([])) as ReadableStream), sha256);
  return context.body(null, 201);
}

async function sendFile(context: RunContext): Promise<Response> {
  const path = context.req.param("path") ?? "";
  const found = await context.var.run.store.locate(path);
  if (found === undefined) {
    return context.json({ error: `run ${context.var.run.spec.run} has no file ${path}` }, 404);
  }
  const body = Readable.toWeb(createReadStream(found.file)) as unknown as globalThis.ReadableStream;
  return context.body(body, 200, {
    "content-type": "application/octet-stream",
    "content-length": String(found.bytes),
  });
}
