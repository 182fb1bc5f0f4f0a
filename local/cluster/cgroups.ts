import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EnvironmentError } from "../../schema/errors.ts";

/** Where the kernel's control groups are mounted. */
export interface CgroupLayout {
  readonly version: 1 | 2;
  /** One folder per hierarchy that limits something; version 2 has one. */
  readonly roots: readonly string[];
  /** Every hierarchy in which the runtime may leave a folder: on a hybrid machine version 2 as well. */
  readonly all: readonly string[];
}

/** Controllers the kubelet cannot do without. */
const neededControllers = ["cpu", "memory", "pids"] as const;

/** Reads the layout from a `/proc/self/mountinfo` text. A hybrid machine counts as version 1, as it does for runc. */
export function parseCgroupLayout(mountinfo: string): CgroupLayout | undefined {
  const roots = { cgroup: [] as string[], cgroup2: [] as string[] };
  for (const line of mountinfo.split("\n")) {
    const [before, after] = line.split(" - ");
    const place = before?.split(" ")[4];
    const type = after?.split(" ")[0];
    if (place !== undefined && (type === "cgroup" || type === "cgroup2") && !roots[type].includes(place)) {
      roots[type].push(place);
    }
  }
  const all = [...roots.cgroup, ...roots.cgroup2];
  if (roots.cgroup.length > 0) return { version: 1, roots: roots.cgroup, all };
  return roots.cgroup2[0] === undefined ? undefined : { version: 2, roots: [roots.cgroup2[0]], all };
}

/**
 * This machine's layout.
 *
 * @throws EnvironmentError when control groups are not mounted
 */
export async function cgroupLayout(): Promise<CgroupLayout> {
  const layout = parseCgroupLayout(await readFile("/proc/self/mountinfo", "utf8"));
  if (layout !== undefined) return layout;
  throw new EnvironmentError(
    "No control groups are mounted on this machine, so pods cannot be given their share of it.",
    "Mount them (`mount -t cgroup2 none /sys/fs/cgroup`), or run on a machine that has them.",
  );
}

/** Name of a cluster's folder in each hierarchy. */
export function cgroupName(id: string): string {
  return `orrery-${id}`;
}

/** Makes the cluster's folder in every hierarchy; the kubelet puts its own below it. */
export async function makeCgroups(layout: CgroupLayout, id: string): Promise<void> {
  for (const root of layout.roots) {
    const folder = join(root, cgroupName(id));
    await mkdir(folder, { recursive: true });
    if (layout.version === 2) {
      await enableControllers(root);
      await enableControllers(folder);
    } else {
      await inheritCpuset(root, folder);
    }
  }
}

/** Version 2 hands a controller to a folder's children only when asked. */
async function enableControllers(folder: string): Promise<void> {
  const available = (await readFile(join(folder, "cgroup.controllers"), "utf8")).trim().split(" ");
  const missing = neededControllers.filter((name) => !available.includes(name));
  if (missing.length > 0) {
    throw new EnvironmentError(
      `The control group ${folder} lacks the controllers ${missing.join(", ")}, so pods cannot be limited.`,
      "Boot with them enabled, or, in a container, delegate them to it.",
    );
  }
  const wanted = available.filter((name) => ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"].includes(name));
  await writeFile(join(folder, "cgroup.subtree_control"), wanted.map((name) => `+${name}`).join(" "));
}

/** A new version 1 cpuset folder has no CPUs, and no process can enter it until it has. */
async function inheritCpuset(root: string, folder: string): Promise<void> {
  for (const setting of ["cpuset.cpus", "cpuset.mems"]) {
    const value = await readIfThere(join(root, setting));
    if (value !== undefined && (await readFile(join(folder, setting), "utf8")).trim() === "") {
      await writeFile(join(folder, setting), value.trim());
    }
  }
}

/** Process ids in the cluster's control groups, on the host's count. */
export async function cgroupPids(layout: CgroupLayout, id: string): Promise<number[]> {
  const pids = new Set<number>();
  for (const root of layout.all) {
    for (const folder of await cgroupFolders(join(root, cgroupName(id)))) {
      const text = (await readIfThere(join(folder, "cgroup.procs"))) ?? "";
      for (const line of text.split("\n")) {
        if (line !== "") pids.add(Number(line));
      }
    }
  }
  return [...pids];
}

/** The cluster's control groups that exist, deepest first. */
export async function existingCgroups(layout: CgroupLayout, id: string): Promise<string[]> {
  const found: string[] = [];
  for (const root of layout.all) {
    found.push(...(await cgroupFolders(join(root, cgroupName(id)))));
  }
  return found;
}

/** Removes the cluster's control groups; those that still hold a process stay and are reported by the caller's check. */
export async function removeCgroups(layout: CgroupLayout, id: string): Promise<void> {
  for (const folder of await existingCgroups(layout, id)) {
    try {
      await rmdir(folder);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== "ENOENT" && code !== "EBUSY" && code !== "ENOTEMPTY") throw error;
    }
  }
}

/** `top` and every folder below it, deepest first; none when it does not exist. */
async function cgroupFolders(top: string): Promise<string[]> {
  let entries: { name: string; isDirectory(): boolean }[];
  try {
    entries = await readdir(top, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  const below: string[] = [];
  for (const entry of entries) {
    if (entry.isDirectory()) below.push(...(await cgroupFolders(join(top, entry.name))));
  }
  return [...below, top];
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENODEV") return undefined;
    throw error;
  }
}
