import { readdir } from "node:fs/promises";
import { exec } from "../toolchain/exec.ts";
import type { OrreryHome } from "../toolchain/home.ts";
import { linkOf } from "./addresses.ts";
import { cgroupLayout, cgroupPids, existingCgroups } from "./cgroups.ts";
import { findInit } from "./init.ts";
import { linksOf } from "./network.ts";
import { type ClusterPaths, clusterPaths } from "./paths.ts";
import { allPids, identify, namespaceOf, readProc } from "./processes.ts";
import { readIfExists } from "./state.ts";

/** Something of a cluster that is present on the machine outside its folder. */
export interface Leftover {
  readonly kind: "process" | "mount" | "namespace" | "interface" | "cgroup" | "iptables";
  readonly what: string;
}

/** Names of the clusters a home has folders of. */
export async function clusterNames(home: OrreryHome): Promise<string[]> {
  try {
    const entries = await readdir(home.clusters, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith(".")).map((entry) => entry.name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/**
 * Everything of a home's clusters that is on the machine outside ORRERY_HOME now: nothing when all of them are down,
 * the running ones' parts otherwise.
 */
export async function leftovers(home: OrreryHome): Promise<Leftover[]> {
  const found: Leftover[] = [];
  for (const name of await clusterNames(home)) {
    found.push(...(await leftoversOf(clusterPaths(home, name))));
  }
  return found;
}

/** {@link leftovers} of one cluster. */
export async function leftoversOf(paths: ClusterPaths): Promise<Leftover[]> {
  const layout = await cgroupLayout();
  return [
    ...(await processes(paths, await cgroupPids(layout, paths.id))),
    ...(await mounts(paths)),
    ...(await interfaces(paths)),
    ...(await existingCgroups(layout, paths.id)).map((what): Leftover => ({ kind: "cgroup", what })),
    ...(await hostRules(paths)),
  ];
}

/** Processes in the cluster's control groups or namespaces, and the namespaces they keep alive. */
async function processes(paths: ClusterPaths, inCgroups: readonly number[]): Promise<Leftover[]> {
  const { init, parents } = await findInit(paths);
  const own = await namespaceOf("self", "mnt");
  const pids = new Set([...inCgroups, ...parents.map((parent) => parent.pid)]);
  if (init !== undefined) pids.add(init.pid);
  const spaces = new Set<string>();
  for (const pid of await allPids()) {
    const space = await namespaceOf(pid, "mnt");
    if (space === undefined || space === own) continue;
    if ((await readProc(`${pid}/mountinfo`))?.includes(`${paths.folder}/`)) pids.add(pid);
  }
  const found: Leftover[] = [];
  for (const pid of pids) {
    if ((await identify(pid)) === undefined) continue;
    found.push({ kind: "process", what: `${pid} ${(await readProc(`${pid}/comm`))?.trim() ?? "?"}` });
    for (const kind of ["pid", "net", "mnt"] as const) {
      const space = await namespaceOf(pid, kind);
      if (space !== undefined && space !== (await namespaceOf("self", kind))) spaces.add(space);
    }
  }
  return [...found, ...[...spaces].map((what): Leftover => ({ kind: "namespace", what }))];
}

/** Mounts the host itself sees below the cluster's folder. */
async function mounts(paths: ClusterPaths): Promise<Leftover[]> {
  const lines = ((await readProc("self/mountinfo")) ?? "").split("\n");
  const places = lines.map((line) => line.split(" ")[4] ?? "");
  const below = places.filter((place) => place === paths.folder || place.startsWith(`${paths.folder}/`));
  return below.map((what): Leftover => ({ kind: "mount", what }));
}

async function interfaces(paths: ClusterPaths): Promise<Leftover[]> {
  return (await linksOf("ip", paths.id)).map((what): Leftover => ({ kind: "interface", what }));
}

/** Rules on the host that name the cluster's interface. It makes none; this is what proves it. */
async function hostRules(paths: ClusterPaths): Promise<Leftover[]> {
  const name = await recordedInterface(paths);
  if (name === undefined) return [];
  const saved = await exec("iptables-save", []).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined; // no iptables on PATH: no rule can have been made with it
    throw error;
  });
  const lines = (saved?.stdout ?? "").split("\n").filter((line) => line.split(/\s+/).includes(name));
  return lines.map((what): Leftover => ({ kind: "iptables", what }));
}

async function recordedInterface(paths: ClusterPaths): Promise<string | undefined> {
  const match = /"linkIndex":\s*(\d+)/.exec((await readIfExists(paths.state)) ?? "");
  return match?.[1] === undefined ? undefined : linkOf(Number(match[1])).hostInterface;
}
