import { createHash } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { KubeConfig } from "@kubernetes/client-node";
import type { z } from "zod";
import type { TargetConnection } from "../components/cluster-target.ts";
import { conductorKey, runToken } from "../components/kubernetes/identity.ts";
import { namespaceOf } from "../components/simulation.ts";
import { conductorName, conductorPort } from "../components/workload/conductor.ts";
import { RunFailure } from "../schema/errors.ts";
import {
  fileListSchema,
  type RunSpec,
  type RunStatus,
  runSpecSchema,
  runStatusSchema,
  runTokenHeader,
} from "../schema/run.ts";
import { kubeConfigOf, type ProxiedService, proxyGet } from "./cluster-client.ts";

/** The conductor of a run, reached as an experiment's stack says. */
export function conductorOf(
  connection: TargetConnection,
  experiment: string,
  run: string,
  rootSecret: string,
): ConductorClient {
  const place = { namespace: namespaceOf(experiment), service: conductorName, port: conductorPort };
  const token = runToken(conductorKey(rootSecret), run);
  return new ConductorClient(kubeConfigOf(connection), place, { id: run, token });
}

/** The conductor as the command line sees it. */
export class ConductorClient {
  readonly #config: KubeConfig;
  readonly #service: ProxiedService;
  readonly #run: string;

  constructor(
    config: KubeConfig,
    place: { readonly namespace: string; readonly service: string; readonly port: number },
    run: { readonly id: string; readonly token: string },
  ) {
    this.#config = config;
    this.#service = { ...place, headers: { [runTokenHeader]: run.token } };
    this.#run = run.id;
  }

  /** How far the run is, or undefined while the conductor does not answer yet or does not know the run. */
  async status(): Promise<RunStatus | undefined> {
    const { status, body } = await proxyGet(this.#config, this.#service, `v1/runs/${this.#run}/status`);
    return status === 200 ? parse(runStatusSchema, body, "status") : undefined;
  }

  /** What the run was asked for; call it once there is a status. */
  async spec(): Promise<RunSpec> {
    return parse(runSpecSchema, await this.#get("files/spec.json"), "spec.json");
  }

  /**
   * Fetches every file of the run into a folder, which appears whole or not at all.
   *
   * @throws RunFailure when a file cannot be had or does not match its checksum
   */
  async collect(folder: string, extra: Readonly<Record<string, string>>): Promise<void> {
    const parts = `${folder}.incomplete`;
    await rm(parts, { recursive: true, force: true });
    await mkdir(parts, { recursive: true });
    const list = parse(fileListSchema, await this.#get("files"), "file list");
    for (const file of list.files) {
      const body = await this.#get(`files/${file.path}`);
      const digest = createHash("sha256").update(body).digest("hex");
      if (digest !== file.sha256) {
        throw new RunFailure(
          `run ${this.#run}: ${file.path} arrived damaged (sha256 ${digest}, expected ${file.sha256})`,
        );
      }
      await writeInto(parts, file.path, body);
    }
    for (const [path, text] of Object.entries(extra)) {
      await writeInto(parts, path, Buffer.from(text));
    }
    await rename(parts, folder);
  }

  async #get(path: string): Promise<Buffer> {
    const { status, body } = await proxyGet(this.#config, this.#service, `v1/runs/${this.#run}/${path}`);
    if (status !== 200) {
      throw new RunFailure(
        `run ${this.#run}: the conductor answered ${status} for ${path}: ${body.toString().slice(0, 300)}`,
      );
    }
    return body;
  }
}

async function writeInto(folder: string, path: string, body: Buffer): Promise<void> {
  if (path.split("/").some((part) => part === "" || part === "..")) {
    throw new RunFailure(`the conductor named a file outside the run: ${path}`);
  }
  const target = join(folder, path);
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, body);
}

function parse<Schema extends z.ZodType>(schema: Schema, body: Buffer, what: string): z.output<Schema> {
  const result = schema.safeParse(JSON.parse(body.toString()));
  if (!result.success) {
    throw new RunFailure(`the conductor's ${what} is not as agreed: ${result.error.message}`);
  }
  return result.data;
}
