import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ClusterPaths } from "./paths.ts";
import { readIfExists } from "./state.ts";

/** One process of a running cluster, as its supervisor sees it. */
export interface ComponentState {
  readonly name: string;
  readonly state: "up" | "down";
  /** Folder with its log: `current` and older files. */
  readonly logs: string;
}

/** The state of every supervised process, in alphabetical order. */
export async function componentStates(paths: ClusterPaths): Promise<ComponentState[]> {
  const entries = await readdir(paths.services, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith(".")).map(({ name }) => name);
  return await Promise.all(
    names.sort().map(async (name) => ({
      name,
      state: (await supervisedPid(join(paths.services, name))) > 0 ? ("up" as const) : ("down" as const),
      logs: join(paths.logs, name),
    })),
  );
}

/**
 * Process id, inside the cluster, that the supervisor recorded for a service; 0 when it does not run. The record is
 * s6's status file: two 12-byte time stamps, then the id as a big-endian 64-bit number.
 */
async function supervisedPid(service: string): Promise<number> {
  const path = join(service, "supervise", "status");
  if ((await readIfExists(path)) === undefined) return 0;
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(32), 0, 32, 0);
  return bytesRead < 32 ? 0 : Number(buffer.readBigUInt64BE(24));
}
