import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { WorkerResult } from "../../schema/results.ts";

type Health = WorkerResult["health"];

const resolutionMs = 5;

/** How long callbacks had to wait for the event loop, beyond the sampling timer's own interval. */
export class EventLoopWatch {
  readonly #histogram = monitorEventLoopDelay({ resolution: resolutionMs });

  start(): void {
    this.#histogram.reset();
    this.#histogram.enable();
  }

  stop(): Health["eventLoopDelayMs"] {
    this.#histogram.disable();
    const own = (ns: number): number => Math.max(0, ns / 1e6 - resolutionMs);
    return this.#histogram.count === 0
      ? { p50: 0, p99: 0, max: 0 }
      : {
          p50: own(this.#histogram.percentile(50)),
          p99: own(this.#histogram.percentile(99)),
          max: own(this.#histogram.max),
        };
  }
}

/** CPU accounting of a container at one moment. */
export interface CpuReading {
  readonly usedSeconds: number;
  readonly throttledSeconds: number;
  readonly limitCores: number | null;
}

/**
 * Reads the CPU accounting of this process's cgroup, of version 2 or 1; null where there is none to be read.
 *
 * @param root Where /proc and /sys are found.
 */
export function readCpu(root = "/"): CpuReading | null {
  const membership = readText(join(root, "proc/self/cgroup"));
  if (membership === undefined) {
    return null;
  }
  const lines = [...membership.matchAll(/^\d+:([^:]*):(.*)$/gm)];
  const groups = new Map(lines.map(([, controllers = "", path = "/"]): [string, string] => [controllers, path]));
  return readVersion2(root, groups) ?? readVersion1(root, groups);
}

function readVersion2(root: string, groups: ReadonlyMap<string, string>): CpuReading | null {
  const mount = join(root, "sys/fs/cgroup");
  const folder = folderOf(mount, groups.get(""), "cpu.stat");
  const stat = folder === undefined ? undefined : readText(join(folder, "cpu.stat"));
  const used = numberIn(stat, "usage_usec");
  if (folder === undefined || used === undefined) {
    return null;
  }
  const [quota = "max", period = "100000"] = (readText(join(folder, "cpu.max")) ?? "max").trim().split(" ");
  return {
    usedSeconds: used / 1e6,
    throttledSeconds: (numberIn(stat, "throttled_usec") ?? 0) / 1e6,
    limitCores: quota === "max" ? null : Number(quota) / Number(period),
  };
}

function readVersion1(root: string, groups: ReadonlyMap<string, string>): CpuReading | null {
  const own = (controller: string, file: string): string | undefined => {
    for (const [controllers, path] of groups) {
      if (controllers.split(",").includes(controller)) {
        const mounts = [controllers, controller].map((name) => join(root, "sys/fs/cgroup", name));
        const folder = mounts.map((mount) => folderOf(mount, path, file)).find((found) => found !== undefined);
        return folder === undefined ? undefined : readText(join(folder, file));
      }
    }
    return undefined;
  };
  const usedNs = own("cpuacct", "cpuacct.usage");
  if (usedNs === undefined) {
    return null;
  }
  const quota = Number(own("cpu", "cpu.cfs_quota_us") ?? "-1");
  const period = Number(own("cpu", "cpu.cfs_period_us") ?? "100000");
  return {
    usedSeconds: Number(usedNs) / 1e9,
    throttledSeconds: (numberIn(own("cpu", "cpu.stat"), "throttled_time") ?? 0) / 1e9,
    limitCores: quota > 0 ? quota / period : null,
  };
}

/** Inside a container the mount shows the container's own group at its root, whatever the membership says. */
function folderOf(mount: string, path: string | undefined, file: string): string | undefined {
  return path === undefined ? undefined : [join(mount, path), mount].find((folder) => existsSync(join(folder, file)));
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined; // not there, or not ours to read: the same to the caller
  }
}

function numberIn(text: string | undefined, name: string): number | undefined {
  const found = new RegExp(`^${name} (\\d+)$`, "m").exec(text ?? "")?.[1];
  return found === undefined ? undefined : Number(found);
}

/** What was used between two readings; null when either is missing. */
export function cpuBetween(before: CpuReading | null, after: CpuReading | null): Health["cpu"] {
  return before === null || after === null
    ? null
    : {
        usedSeconds: after.usedSeconds - before.usedSeconds,
        throttledSeconds: after.throttledSeconds - before.throttledSeconds,
        limitCores: after.limitCores,
      };
}
