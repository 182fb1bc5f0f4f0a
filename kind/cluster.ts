import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type ExecOptions, exec } from "../local/toolchain/exec.ts";
import type { OrreryHome } from "../local/toolchain/home.ts";
import type { Progress } from "../local/toolchain/progress.ts";
import { EnvironmentError } from "../schema/errors.ts";
import { clusterConfig, type NodeImage } from "./config.ts";
import { explainDocker, loadArchive, nodeImages, nodeStates } from "./docker.ts";
import type { KindOptions } from "./options.ts";
import { kindKubeconfig } from "./paths.ts";

/** What work on a cluster needs. */
export interface KindContext {
  readonly home: OrreryHome;
  /** Absolute path of the kind program. */
  readonly kind: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** An image archive and the reference it holds. */
export interface Archive {
  readonly reference: string;
  readonly archive: string;
}

/** What there is of a cluster. */
export type KindState =
  | { readonly state: "absent" }
  | { readonly state: "running"; readonly nodes: readonly string[] }
  /** Some node does not run; `detail` names each with its state. */
  | { readonly state: "broken"; readonly detail: string };

/** The cluster as Docker has it now. */
export async function kindState(cluster: string, options: ExecOptions = {}): Promise<KindState> {
  const states = await nodeStates(cluster, options);
  if (states.size === 0) return { state: "absent" };
  if ([...states.values()].every((state) => state === "running"))
    return { state: "running", nodes: [...states.keys()] };
  return { state: "broken", detail: [...states].map(([name, state]) => `${name} is ${state}`).join(", ") };
}

/**
 * Makes the cluster. What a failed or interrupted attempt has made is deleted again.
 *
 * @throws EnvironmentError with kind's own message and what to do
 */
export async function createCluster(context: KindContext, options: KindOptions, image: NodeImage): Promise<void> {
  const { cluster } = options;
  const task = `kind cluster ${cluster}`;
  const kubeconfig = kindKubeconfig(context.home, cluster);
  await mkdir(dirname(kubeconfig), { recursive: true });
  context.progress.start(task);
  try {
    const config = join(dirname(kubeconfig), "config.json");
    await writeFile(config, `${JSON.stringify(clusterConfig(options, image), undefined, 2)}\n`);
    const args = ["create", "cluster", "--config", config, "--kubeconfig", kubeconfig, "--wait", "180s"];
    let done = 0;
    await kind(context, args, (line) => context.progress.update(task, { done: ++done, detail: line.trim() }));
  } catch (error) {
    context.progress.fail(task, (error as Error).message);
    await deleteCluster({ ...context, signal: undefined }, cluster);
    context.signal?.throwIfAborted();
    throw explainKind(`The kind cluster ${cluster} could not be made`, error as Error);
  }
  context.progress.done(task, `${options.nodes} node${options.nodes === 1 ? "" : "s"}`);
}

/** Deletes the cluster and its kubeconfig; harmless when there is none. */
export async function deleteCluster(context: KindContext, cluster: string): Promise<void> {
  const kubeconfig = kindKubeconfig(context.home, cluster);
  await kind(context, ["delete", "cluster", "--name", cluster, "--kubeconfig", kubeconfig]).catch((error: Error) => {
    throw explainKind(`The kind cluster ${cluster} could not be deleted`, error);
  });
  await rm(dirname(kubeconfig), { recursive: true, force: true });
}

/** Writes the kubeconfig of a running cluster. */
export async function exportKubeconfig(context: KindContext, cluster: string): Promise<string> {
  const kubeconfig = kindKubeconfig(context.home, cluster);
  await mkdir(dirname(kubeconfig), { recursive: true });
  await kind(context, ["export", "kubeconfig", "--name", cluster, "--kubeconfig", kubeconfig]).catch((error: Error) => {
    throw explainKind(`The kubeconfig of the kind cluster ${cluster} cannot be had`, error);
  });
  return kubeconfig;
}

/**
 * Loads the images some node lacks.
 *
 * @throws EnvironmentError naming the archive
 */
export async function loadImages(
  context: KindContext,
  cluster: string,
  nodes: readonly string[],
  images: readonly Archive[],
): Promise<void> {
  const present = await Promise.all(nodes.map((node) => nodeImages(node, context)));
  for (const { reference, archive } of images) {
    if (present.every((held) => held.has(reference))) continue;
    const task = `load ${reference}`;
    context.progress.start(task);
    try {
      await kind(context, ["load", "image-archive", archive, "--name", cluster]);
    } catch (error) {
      context.progress.fail(task, (error as Error).message);
      context.signal?.throwIfAborted();
      throw explainKind(
        `The image ${reference} (${archive}) could not be loaded into the kind cluster`,
        error as Error,
      );
    }
    context.progress.done(task);
  }
}

/** Puts a node image of ours into Docker. */
export async function loadNodeImage(context: KindContext, image: Archive): Promise<void> {
  const task = `load ${image.reference} into Docker`;
  context.progress.start(task);
  await loadArchive(image.archive, context);
  context.progress.done(task);
}

async function kind(context: KindContext, args: readonly string[], onLine?: (line: string) => void): Promise<string> {
  const env = { ...process.env, KIND_EXPERIMENTAL_PROVIDER: "docker" };
  const result = await exec(context.kind, args, { env, signal: context.signal, ...(onLine && { onLine }) });
  if (result.code === 0) return result.stdout;
  throw new Error(kindMessage(`${result.stdout}\n${result.stderr}`));
}

/** What kind says went wrong: its own words, and the last line of the command it ran instead of that command. */
export function kindMessage(output: string): string {
  const [told = ""] = /(?<=^ERROR: ).*/m.exec(output) ?? output.trim().split("\n").slice(-1);
  const printed = /^Command Output: ([\s\S]*?)(?:\n\nStack Trace:|$(?![\s\S]))/m
    .exec(output)?.[1]
    ?.trim()
    .split("\n")
    .at(-1);
  const own = told.replace(/:? ?command ".*" failed with error: .*$/, "");
  return [own, printed ?? ""]
    .filter((text) => text !== "")
    .join(": ")
    .replace(/\.$/, "");
}

function explainKind(what: string, error: Error): EnvironmentError {
  if (error instanceof EnvironmentError) return error;
  const { message } = error;
  if (/no space left on device|already in use|already allocated/i.test(message)) return explainDocker(what, message);
  if (/failed to pull image/i.test(message)) {
    const fix = "Let Docker reach the registry, or build the node image here: --target-option node-image=built.";
    return new EnvironmentError(`${what}: ${message}.`, fix);
  }
  if (/could not find a log line/.test(message)) {
    const fix = "kind gives a node half a minute. Try again when the machine is less busy, or with another node-image.";
    return new EnvironmentError(`${what}: a node did not start in time (${message}).`, fix);
  }
  if (/node\(s\) already exist/.test(message)) {
    const fix = "Remove it with `npx orrery kind down`, or name another: --target-option cluster=<name>.";
    return new EnvironmentError(`${what}: ${message}.`, fix);
  }
  return new EnvironmentError(
    `${what}: ${message}.`,
    "Nothing is left of the attempt; check `docker info` and try again.",
  );
}
