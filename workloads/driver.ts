import { readFile } from "node:fs/promises";
import { z } from "zod";
import { exitCodes, messageOf } from "../schema/errors.ts";
import { runSpecSchema } from "../schema/run.ts";
import { log } from "./core/log.ts";
import { runWorker, type WorkerTask } from "./core/worker.ts";

const environmentSchema = z.object({
  ORRERY_RUN_SPEC: z.string().min(1),
  ORRERY_RUN_TOKEN_FILE: z.string().min(1),
  JOB_COMPLETION_INDEX: z.coerce.number().int().min(0),
  POD_NAME: z.string().min(1),
  NODE_NAME: z.string().min(1),
  ORRERY_CREDENTIALS: z.string().min(1).optional(),
});

/** What this worker is to do, from its environment and two files. */
async function readTask(): Promise<WorkerTask> {
  const environment = environmentSchema.parse(process.env);
  const spec = runSpecSchema.parse(JSON.parse(await readFile(environment.ORRERY_RUN_SPEC, "utf8")));
  const token = (await readFile(environment.ORRERY_RUN_TOKEN_FILE, "utf8")).trim();
  const worker = environment.JOB_COMPLETION_INDEX;
  if (worker >= spec.workers) {
    throw new RangeError(`JOB_COMPLETION_INDEX is ${worker}, but the run has ${spec.workers} workers, from 0`);
  }
  const { POD_NAME: pod, NODE_NAME: node, ORRERY_CREDENTIALS: credentials } = environment;
  return { spec, worker, token, pod, node, credentials };
}

async function main(): Promise<number> {
  let task: WorkerTask;
  try {
    task = await readTask();
  } catch (error) {
    const problem = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
    log("error", "the run spec or the environment cannot be used", { problem });
    return exitCodes.badInput;
  }
  const stop = new AbortController();
  process.once("SIGTERM", () => stop.abort());
  process.once("SIGINT", () => stop.abort());
  try {
    await runWorker(task, stop.signal);
    return exitCodes.pass;
  } catch (error) {
    log("error", "the worker could not deliver its results", {
      worker: task.worker,
      error: messageOf(error),
      stack: error instanceof Error ? error.stack : undefined,
    });
    return exitCodes.infrastructure;
  }
}

process.exitCode = await main();
