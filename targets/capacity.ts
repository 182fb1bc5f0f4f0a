import type { Check } from "../local/toolchain/doctor.ts";
import { exceeded, type NamespaceLimit } from "./quotas.ts";

/** What one pod asks for. */
export interface PodNeed {
  /** `Kind name` of the workload it belongs to. */
  readonly workload: string;
  /** Cores. */
  readonly cpu: number;
  /** Bytes. */
  readonly memory: number;
  /** Bytes of each volume made for it. */
  readonly volumes: readonly number[];
  /** Cores and bytes of each container, those that run once included. */
  readonly containers: readonly { readonly cpu: number; readonly memory: number }[];
}

/** What one node has left. */
export interface NodeRoom {
  readonly name: string;
  readonly cpu: number;
  readonly memory: number;
  readonly pods: number;
  /** Volumes that can still be attached; absent where the driver names no limit. */
  readonly volumes?: number;
}

/** What a graph asks of a cluster. */
export interface Needs {
  readonly pods: readonly PodNeed[];
  /** Bytes of every volume, those of pods included. */
  readonly volumes: readonly number[];
  /** `group/version kind` of every object. */
  readonly kinds: readonly string[];
  /** StorageClasses that are named; the empty string is the default one. */
  readonly storageClasses: readonly string[];
  readonly images: readonly string[];
}

/** What a cluster has, less what already runs there. */
export interface Room {
  readonly version: string;
  readonly nodes: readonly NodeRoom[];
  /** `group/version` the API server serves. */
  readonly apiVersions: readonly string[];
  readonly storageClasses: readonly {
    readonly name: string;
    readonly isDefault: boolean;
    readonly freeVolumes?: number;
  }[];
  /** References of images on the nodes, as far as nodes tell. */
  readonly images: readonly string[];
  /** What the namespace allows, where it is there already. */
  readonly limits: readonly NamespaceLimit[];
  /** Whether this user may make what is to be made; what is refused otherwise. */
  readonly refused: readonly string[];
}

/** A pod that finds no node, and the nodes as they are by then. */
export interface Placement {
  readonly placed: number;
  readonly unplaced: readonly PodNeed[];
  readonly left: readonly NodeRoom[];
}

/**
 * Places pods on nodes: the largest first, each where most CPU is left. The scheduler may do better or worse by a pod;
 * what does not fit in sum never fits.
 */
export function place(pods: readonly PodNeed[], nodes: readonly NodeRoom[]): Placement {
  const left = nodes.map((node) => ({ ...node }));
  const unplaced: PodNeed[] = [];
  const bySize = [...pods].sort((a, b) => b.cpu - a.cpu || b.memory - a.memory);
  for (const pod of bySize) {
    const fitting = left.filter((node) => fits(pod, node)).sort((a, b) => b.cpu - a.cpu || b.memory - a.memory);
    const [node] = fitting;
    if (node === undefined) {
      unplaced.push(pod);
      continue;
    }
    node.cpu -= pod.cpu;
    node.memory -= pod.memory;
    node.pods -= 1;
    if (node.volumes !== undefined) node.volumes -= pod.volumes.length;
  }
  return { placed: pods.length - unplaced.length, unplaced, left };
}

const rounding = 1e-9; // sums of tenths of a core

const fits = (pod: PodNeed, node: NodeRoom): boolean =>
  pod.cpu <= node.cpu + rounding &&
  pod.memory <= node.memory &&
  node.pods >= 1 &&
  pod.volumes.length <= (node.volumes ?? Number.POSITIVE_INFINITY);

/** Oldest Kubernetes the objects we make are tested for: native sidecars and StatefulSet volume retention. */
const oldestMinor = 29;

/** Whether a graph fits into a cluster, as a list of checks; pure arithmetic. */
export function capacityChecks(needs: Needs, room: Room): Check[] {
  return [
    versionCheck(room),
    apiCheck(needs, room),
    permissionCheck(room),
    placementCheck(needs, room),
    quotaCheck(needs, room),
    storageCheck(needs, room),
    imageCheck(needs, room),
  ];
}

function check(name: string, good: boolean, found: string, needed: string, fix: string): Check {
  return { name, status: good ? "ok" : "fail", found, needed, fix: good ? "" : fix };
}

function versionCheck({ version }: Room): Check {
  const minor = Number(/^v1\.(\d+)/.exec(version)?.[1] ?? 0);
  return check("version", minor >= oldestMinor, version, `v1.${oldestMinor} or later`, "Use a newer cluster.");
}

function apiCheck({ kinds }: Needs, { apiVersions }: Room): Check {
  const versions = [...new Set(kinds.map((kind) => kind.slice(0, kind.indexOf(" "))))].sort();
  const missing = versions.filter((version) => !apiVersions.includes(version));
  const found = missing.length === 0 ? "all served" : `not served: ${missing.join(", ")}`;
  return check("APIs", missing.length === 0, found, versions.join(", "), "Use a cluster that serves them.");
}

function permissionCheck({ refused }: Room): Check {
  return check(
    "permissions",
    refused.length === 0,
    refused.length === 0 ? "granted" : `refused: ${refused.join(", ")}`,
    "to make namespaces and what is in them",
    "Ask for these rights, or use another user in the kubeconfig.",
  );
}

function quotaCheck(needs: Needs, { limits }: Room): Check {
  const over = exceeded(needs, limits);
  const sources = [...new Set(limits.map(({ source }) => source))].join(", ");
  return check(
    "quotas",
    over.length === 0,
    over.join("; ") || sources || "none in the namespace",
    "no limit of the namespace below what is asked for",
    "Ask for less, or have the quota of the namespace raised.",
  );
}

function placementCheck({ pods }: Needs, { nodes }: Room): Check {
  const { unplaced } = place(pods, nodes);
  const asked = totals(pods);
  const has = `${nodes.length} node(s) with ${cores(sum(nodes, "cpu"))} CPU, ${mebibytes(sum(nodes, "memory"))} MiB, ${sum(nodes, "pods")} pods left`;
  const needed = `${pods.length} pods, ${cores(asked.cpu)} CPU, ${mebibytes(asked.memory)} MiB`;
  const [first] = unplaced;
  if (first === undefined) return check("room", true, has, needed, "");
  const workloads = [...new Set(unplaced.map((pod) => pod.workload))].join(", ");
  const why = nodes.some((node) => fits(first, node)) ? "once the others are placed" : reason(first, nodes);
  return check(
    "room",
    false,
    `${has}; no node for ${unplaced.length} pod(s) of ${workloads} ${why}`,
    needed,
    "Ask for less (replicas, workers, cpu, memory in the experiment), free the cluster, or use a larger one.",
  );
}

/** Which resource no node has enough of for a pod. */
function reason(pod: PodNeed, nodes: readonly NodeRoom[]): string {
  const lacks = [
    ...(nodes.every((node) => node.cpu + rounding < pod.cpu) ? [`${cores(pod.cpu)} CPU`] : []),
    ...(nodes.every((node) => node.memory < pod.memory) ? [`${mebibytes(pod.memory)} MiB`] : []),
    ...(nodes.every((node) => node.pods < 1) ? ["a place for one more pod"] : []),
    ...(nodes.every((node) => (node.volumes ?? Number.POSITIVE_INFINITY) < pod.volumes.length)
      ? [`${pod.volumes.length} more volume(s)`]
      : []),
  ];
  return lacks.length === 0 ? "with all it asks for" : `with ${lacks.join(" and ")}`;
}

function storageCheck({ pods, storageClasses }: Needs, room: Room): Check {
  const volumes = pods.flatMap((pod) => pod.volumes);
  const needed = `${volumes.length} volumes, ${mebibytes(volumes.reduce((all, one) => all + one, 0))} MiB`;
  const missing = storageClasses.filter(
    (name) => !room.storageClasses.some((one) => (name === "" ? one.isDefault : one.name === name)),
  );
  const known = room.storageClasses.map((one) => one.name).join(", ") || "none";
  const used = room.storageClasses.filter((one) => storageClasses.includes(one.isDefault ? "" : one.name));
  const scarce = used.find((one) => one.freeVolumes !== undefined && one.freeVolumes < volumes.length);
  const fault =
    missing.length > 0
      ? `no StorageClass ${missing.map((name) => name || "(default)").join(", ")} among ${known}`
      : scarce === undefined
        ? undefined
        : `${scarce.freeVolumes} free volumes of class ${scarce.name}, which makes none by itself`;
  return check(
    "storage",
    fault === undefined,
    fault ?? `StorageClasses ${known}`,
    needed,
    "Give the cluster a StorageClass with a provisioner, and mark one as the default.",
  );
}

/** Images of ours are loaded by `up` and `run`; those of registries are pulled. Neither stands in the way. */
function imageCheck({ images }: Needs, room: Room): Check {
  const missing = images.filter((image) => !room.images.includes(image));
  const found = missing.length === 0 ? "all on the nodes" : `to be brought or pulled: ${missing.join(", ")}`;
  const status = missing.length === 0 ? "ok" : "warn";
  const fix = missing.length === 0 ? "" : "Nothing to do where nodes reach the registry; `orrery up` loads its own.";
  return { name: "images", status, found, needed: `${images.length} images`, fix };
}

function totals(pods: readonly PodNeed[]): { cpu: number; memory: number } {
  return pods.reduce((all, pod) => ({ cpu: all.cpu + pod.cpu, memory: all.memory + pod.memory }), {
    cpu: 0,
    memory: 0,
  });
}

const sum = (nodes: readonly NodeRoom[], key: "cpu" | "memory" | "pods"): number =>
  nodes.reduce((all, node) => all + Math.max(0, node[key]), 0);
const cores = (cpu: number): string => cpu.toFixed(2);
const mebibytes = (bytes: number): number => Math.floor(bytes / 2 ** 20);
