import { mkdir, rm } from "node:fs/promises";
import { buildImages } from "../../images/build.ts";
import { EnvironmentError } from "../../schema/errors.ts";
import { type OrreryHome, requireDiskSpace } from "../toolchain/home.ts";
import { withLock } from "../toolchain/lock.ts";
import { type Progress, silentProgress } from "../toolchain/progress.ts";
import { clusterTools, imageTools, resolveTools } from "../toolchain/toolchain.ts";
import { linkOf, podCidr, serviceCidr } from "./addresses.ts";
import { ClusterApi } from "./api.ts";
import { stopCluster } from "./down.ts";
import { type ImageArchive, importArchives } from "./images.ts";
import { enterCommand, findInit, pathOf } from "./init.ts";
import { contextName } from "./kubeconfig.ts";
import { leftoversOf } from "./leftovers.ts";
import { type ClusterPaths, clusterPaths, defaultClusterName } from "./paths.ts";
import { waitUntil } from "./processes.ts";
import { apiReady, clusterReady } from "./ready.ts";
import { requireCapableMachine, requireLinuxRoot } from "./requirements.ts";
import { readIfExists, readState } from "./state.ts";
import { type ComponentState, componentStates } from "./status.ts";
import { boot, nodeName } from "./up.ts";

export type { ImageArchive } from "./images.ts";
export { leftovers } from "./leftovers.ts";
export type { ComponentState } from "./status.ts";

/** A cluster as it is now. */
export interface ClusterInfo {
  readonly name: string;
  /** Kubeconfig for the host; exists once the cluster has been up. */
  readonly kubeconfigPath: string;
  readonly context: string;
  /** Address of the API server; empty for a cluster that was never up. */
  readonly nodeAddress: string;
  readonly podCidr: string;
  readonly serviceCidr: string;
  /** `broken`: some of it runs, but the API server does not answer or the node is not ready. */
  readonly state: "running" | "stopped" | "broken";
  readonly components: readonly ComponentState[];
}

/** Settings of a cluster operation. */
export interface ClusterOptions {
  /** @default "local" */
  readonly name?: string | undefined;
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How long a running cluster that does not answer may take to mend itself before it is started anew. */
const mendMs = 15_000;

/**
 * Makes sure that a cluster runs: does nothing when it does, mends or starts it when it does not, makes it when there
 * is none. Another `up` or `down` of the same cluster is waited for.
 *
 * @throws EnvironmentError when the machine or the cluster's folder does not allow it; nothing was made then
 * @throws Error naming the component that did not come up, with its log; what had started is stopped again
 */
export async function clusterUp(home: OrreryHome, options: ClusterOptions = {}): Promise<ClusterInfo> {
  const paths = namedPaths(home, options.name);
  const progress = options.progress ?? silentProgress;
  if ((await runningInfo(paths)) !== undefined) return await clusterStatus(home, options);
  await requireCapableMachine();
  await requireDiskSpace(paths.folder);
  return await withLock(paths.lock, () => up(home, paths, options, progress), {
    signal: options.signal,
    onWait: (pid) => progress.note(`Waiting for process ${pid}, which is starting or stopping cluster ${paths.name}.`),
  });
}

async function up(
  home: OrreryHome,
  paths: ClusterPaths,
  options: ClusterOptions,
  progress: Progress,
): Promise<ClusterInfo> {
  const { signal } = options;
  const state = await readState(paths);
  if (await mends(paths, signal)) return await clusterStatus(home, options);
  const tools = await resolveTools(home, [...clusterTools, ...imageTools], { progress, signal });
  const [pause] = await buildImages(home, tools, ["pause"], { progress, signal });
  if (pause === undefined) throw new Error("buildImages returned no image for the name pause");
  const task = `start cluster ${paths.name}`;
  progress.start(task);
  try {
    await mkdir(paths.folder, { recursive: true });
    await stopCluster(paths, false);
    await boot({ home, paths, tools, pause, state, signal });
  } catch (error) {
    progress.fail(task, (error as Error).message);
    await stopCluster(paths, false);
    throw error;
  }
  progress.done(task);
  return await clusterStatus(home, options);
}

/** Whether a cluster that runs is fine, or becomes so by itself in a short time. */
async function mends(paths: ClusterPaths, signal: AbortSignal | undefined): Promise<boolean> {
  if ((await findInit(paths)).init === undefined) return false;
  return await waitUntil(async () => (await runningInfo(paths)) !== undefined, mendMs, { intervalMs: 200, signal });
}

/** Stops a cluster and removes all it has on the machine; data and images stay for the next {@link clusterUp}. */
export async function clusterDown(home: OrreryHome, options: ClusterOptions = {}): Promise<ClusterInfo> {
  const paths = namedPaths(home, options.name);
  requireLinuxRoot();
  await withLock(paths.lock, () => stopAndCheck(paths), { signal: options.signal });
  return await clusterStatus(home, options);
}

/**
 * Stops a cluster and deletes its data: objects, volumes, images it has imported, logs. Built images and tools stay in
 * the home and the cache.
 */
export async function clusterReset(home: OrreryHome, options: ClusterOptions = {}): Promise<void> {
  const paths = namedPaths(home, options.name);
  requireLinuxRoot();
  await withLock(paths.lock, async () => {
    await stopAndCheck(paths);
    await rm(paths.folder, { recursive: true, force: true, maxRetries: 3 });
  });
}

/** Stops a cluster and makes sure that nothing of it is left. */
async function stopAndCheck(paths: ClusterPaths): Promise<void> {
  await stopCluster(paths, true);
  let left = await leftoversOf(paths);
  // The kernel takes a dead network namespace and its interface apart a moment after its last process.
  await waitUntil(
    async () => {
      left = await leftoversOf(paths);
      return left.length === 0;
    },
    5_000,
    { intervalMs: 100 },
  );
  if (left.length === 0) return;
  throw new Error(
    `cluster ${paths.name}: stopped, but this is still there: ${left.map(({ kind, what }) => `${kind} ${what}`).join(", ")}. ` +
      "Run `orrery local down` again; if it stays, a process outside the cluster holds on to it.",
  );
}

/** What a cluster is doing. Changes nothing and needs no lock. */
export async function clusterStatus(
  home: OrreryHome,
  options: Pick<ClusterOptions, "name"> = {},
): Promise<ClusterInfo> {
  const paths = namedPaths(home, options.name);
  const state = await readState(paths);
  const init = process.platform === "linux" ? (await findInit(paths)).init : undefined;
  const healthy = init !== undefined && (await runningInfo(paths)) !== undefined;
  return {
    name: paths.name,
    kubeconfigPath: paths.kubeconfig,
    context: contextName(paths.name),
    nodeAddress: state === undefined ? "" : linkOf(state.linkIndex).nodeAddress,
    podCidr,
    serviceCidr,
    state: init === undefined ? "stopped" : healthy ? "running" : "broken",
    components: init === undefined ? [] : await componentStates(paths),
  };
}

/**
 * Puts images into a running cluster; those it has already are left alone.
 *
 * @returns the references that were imported now
 */
export async function importImages(
  home: OrreryHome,
  cluster: Pick<ClusterInfo, "name">,
  images: readonly ImageArchive[],
  options: Pick<ClusterOptions, "signal" | "progress"> = {},
): Promise<string[]> {
  const paths = namedPaths(home, cluster.name);
  const { init } = await findInit(paths);
  if (init === undefined) {
    throw new EnvironmentError(
      `The cluster ${paths.name} does not run, so it takes no images.`,
      "Run `orrery local up`.",
    );
  }
  const client = { enter: enterCommand("nsenter", init), path: await pathOf(init) };
  return await importArchives(client, images, options.signal);
}

/** The API of a cluster that runs and is fine; undefined otherwise. */
async function runningInfo(paths: ClusterPaths): Promise<ClusterApi | undefined> {
  if (process.platform !== "linux" || (await findInit(paths)).init === undefined) return undefined;
  if ((await readIfExists(paths.kubeconfig)) === undefined) return undefined;
  const api = await ClusterApi.fromKubeconfig(paths.kubeconfig);
  const checks = [apiReady(api), ...clusterReady(api, nodeName(paths))];
  const results = await Promise.all(checks.map((check) => check.holds()));
  return results.every((holds) => holds) ? api : undefined;
}

function namedPaths(home: OrreryHome, name: string = defaultClusterName): ClusterPaths {
  if (!/^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$/.test(name)) {
    throw new EnvironmentError(
      `"${name}" cannot name a cluster.`,
      "Use 1 to 30 lower-case letters, digits and dashes, starting with a letter.",
    );
  }
  return clusterPaths(home, name);
}
