import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parquetReadObjects } from "hyparquet";
import {
  type ConductorResult,
  conductorResultSchema,
  type WorkerResult,
  workerResultSchema,
} from "../../../../schema/results.ts";
import {
  type RunSpec,
  type RunStatus,
  runSpecSchema,
  runSpecVersion,
  runStatusSchema,
  runTokenHeader,
} from "../../../../schema/run.ts";
import { parseRunKey, runTokenOf } from "../../../../workloads/conductor/token.ts";
import { FakeKubernetes } from "./fake-kubernetes.ts";
import { type StubMember, startStubNetwork } from "./stub-kv.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
export const runKeyHex = "0123456789abcdef".repeat(4);
export const tokenOf = (run: string): string => runTokenOf(parseRunKey(runKeyHex), run);

/** A program of workloads/ as a process of its own. */
export class Program {
  readonly #child: ChildProcess;
  output = "";

  constructor(file: string, environment: Readonly<Record<string, string>>) {
    this.#child = spawn(process.execPath, [join(root, "workloads", file)], {
      env: { PATH: process.env.PATH ?? "", ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        this.output += chunk.toString();
      });
    }
  }

  async exitCode(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      await once(this.#child, "exit");
    }
    return this.#child.exitCode;
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    this.#child.kill(signal);
    await this.exitCode();
  }
}

/**
 * A network of stubs, a fake API server that knows their pods, a folder, and the real programs on demand. The conductor
 * keeps its port when it is started again.
 */
export class Stage {
  readonly folder: string;
  readonly port: number;
  readonly kubernetes: FakeKubernetes;
  readonly members: readonly StubMember[];
  readonly #programs: Program[] = [];

  private constructor(folder: string, port: number, kubernetes: FakeKubernetes, members: readonly StubMember[]) {
    this.folder = folder;
    this.port = port;
    this.kubernetes = kubernetes;
    this.members = members;
  }

  static async set(): Promise<Stage> {
    const kubernetes = new FakeKubernetes();
    await kubernetes.start();
    const members = await startStubNetwork(3);
    for (const { endpoint } of members) {
      kubernetes.create(endpoint.pod, true);
    }
    const folder = await mkdtemp(join(tmpdir(), "orrery-workloads-"));
    await writeFile(join(folder, "run-key"), runKeyHex);
    await writeFile(join(folder, "account-token"), kubernetes.token);
    return new Stage(folder, await freePort(), kubernetes, members);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** A small run of the kv system, with anything of it changed; its ConfigMap is there. */
  publish(changes: Partial<RunSpec> = {}): RunSpec {
    const spec = runSpecSchema.parse({
      schema: runSpecVersion,
      run: "test-1",
      experiment: "kv",
      system: "kv",
      seed: 7,
      workers: 1,
      operations: { put: 1, get: 1 },
      arrival: { kind: "open", ratePerSecond: 200, process: "uniform" },
      phases: { warmupMs: 500, measureMs: 2000, cooldownMs: 200 },
      timeoutMs: 2000,
      parameters: { keys: 20, valueSize: 32, distribution: "uniform" },
      endpoints: this.members.map(({ endpoint }) => endpoint),
      pods: { namespace: "test", selector: { app: "kv" } },
      faults: [],
      conductorUrl: this.url,
      ...changes,
    });
    this.kubernetes.configMaps.set(`run-${spec.run}`, { "spec.json": JSON.stringify(spec) });
    return spec;
  }

  async startConductor(): Promise<Program> {
    const conductor = this.#start("conductor.ts", {
      ORRERY_DATA_DIR: join(this.folder, "data"),
      ORRERY_RUN_KEY_FILE: join(this.folder, "run-key"),
      ORRERY_NAMESPACE: "test",
      ORRERY_HTTP_PORT: String(this.port),
      ORRERY_KUBERNETES_URL: this.kubernetes.url,
      ORRERY_KUBERNETES_TOKEN_FILE: join(this.folder, "account-token"),
    });
    await until(
      async () => (await fetch(`${this.url}/readyz`)).ok,
      () => conductor.output,
    );
    return conductor;
  }

  async startDriver(
    spec: RunSpec,
    worker = 0,
    token = tokenOf(spec.run),
    environment: Readonly<Record<string, string>> = {},
  ): Promise<Program> {
    const specFile = join(this.folder, `${spec.run}.json`);
    const tokenFile = join(this.folder, `${spec.run}.token`);
    await writeFile(specFile, JSON.stringify(spec));
    await writeFile(tokenFile, `${token}\n`);
    return this.#start("driver.ts", {
      ORRERY_RUN_SPEC: specFile,
      ORRERY_RUN_TOKEN_FILE: tokenFile,
      JOB_COMPLETION_INDEX: String(worker),
      POD_NAME: `run-${spec.run}-${worker}`,
      NODE_NAME: "node-a",
      ...environment,
    });
  }

  /** A request to the conductor about a run, with its token. */
  async ask(run: string, path: string, request: RequestInit = {}): Promise<Response> {
    const headers = { [runTokenHeader]: tokenOf(run), ...request.headers };
    return await fetch(`${this.url}/v1/runs/${run}/${path}`, { ...request, headers });
  }

  async file(run: string, path: string): Promise<Buffer> {
    const answer = await this.ask(run, `files/${path}`);
    if (!answer.ok) {
      throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    }
    return Buffer.from(await answer.arrayBuffer());
  }

  async status(run: string): Promise<RunStatus> {
    return runStatusSchema.parse(await (await this.ask(run, "status")).json());
  }

  async untilComplete(run: string, conductor: Program): Promise<ConductorResult> {
    await until(
      async () => (await this.status(run)).state === "complete",
      () => conductor.output,
    );
    return conductorResultSchema.parse(JSON.parse((await this.file(run, "conductor.json")).toString()));
  }

  async workerResult(run: string, worker = 0): Promise<WorkerResult> {
    return workerResultSchema.parse(JSON.parse((await this.file(run, `workers/${worker}/worker.json`)).toString()));
  }

  async events(run: string, worker = 0): Promise<Record<string, unknown>[]> {
    return await this.rows(run, "events.parquet", worker);
  }

  /** Rows of a parquet file that a worker delivered. */
  async rows(run: string, file: string, worker = 0): Promise<Record<string, unknown>[]> {
    const { buffer, byteOffset, byteLength } = await this.file(run, `workers/${worker}/${file}`);
    return await parquetReadObjects({ file: buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer });
  }

  async clear(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.end("SIGKILL")));
    await Promise.all(this.members.map((member) => member.stop()));
    await this.kubernetes.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  #start(file: string, environment: Readonly<Record<string, string>>): Program {
    const program = new Program(file, environment);
    this.#programs.push(program);
    return program;
  }
}

/** Asks until the answer is yes; connection errors count as no. */
export async function until(
  ask: () => Promise<boolean> | boolean,
  explain: () => string = () => "",
  limitMs = 20_000,
): Promise<void> {
  const endMs = Date.now() + limitMs;
  let last: unknown;
  while (Date.now() < endMs) {
    try {
      if (await ask()) {
        return;
      }
    } catch (error) {
      last = error;
    }
    await sleep(25);
  }
  throw new Error(`it did not happen within ${limitMs} ms: ${String(last)}\n${explain()}`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") {
    throw new Error("no free port");
  }
  return address.port;
}
