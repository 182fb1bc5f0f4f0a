import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { EnvironmentError } from "../../schema/errors.ts";
import type { ClusterPaths } from "./paths.ts";

const stateSchema = z.strictObject({
  version: z.literal(1),
  /** Where the cluster was made; its certificates and volumes name this path. */
  folder: z.string(),
  linkIndex: z.int().min(0),
  snapshotter: z.enum(["overlayfs", "native"]),
  created: z.string(),
});

/** What must not change between two boots of a cluster. */
export type ClusterState = z.output<typeof stateSchema>;

/**
 * The recorded state; undefined when the cluster was never made.
 *
 * @throws EnvironmentError when the record cannot be used
 */
export async function readState(paths: ClusterPaths): Promise<ClusterState | undefined> {
  const text = await readIfExists(paths.state);
  if (text === undefined) return undefined;
  const reset = `Run \`orrery local reset\` to make the cluster anew (its data is lost), or restore ${paths.state} from a copy.`;
  let parsed: ReturnType<typeof stateSchema.safeParse>;
  try {
    parsed = stateSchema.safeParse(JSON.parse(text));
  } catch (error) {
    throw new EnvironmentError(`The cluster's record ${paths.state} is not JSON: ${(error as Error).message}.`, reset, {
      cause: error,
    });
  }
  if (!parsed.success) {
    throw new EnvironmentError(
      `The cluster's record ${paths.state} is damaged: ${z.prettifyError(parsed.error)}.`,
      reset,
    );
  }
  if (parsed.data.folder !== paths.folder) {
    throw new EnvironmentError(
      `The cluster in ${paths.folder} was made in ${parsed.data.folder} and cannot run from another place.`,
      `Move it back, or run \`orrery local reset\` to make it anew (its data is lost).`,
    );
  }
  return parsed.data;
}

/** Records the state, all of it or nothing. */
export async function writeState(paths: ClusterPaths, state: ClusterState): Promise<void> {
  await writeWhole(paths.state, `${JSON.stringify(state, null, 2)}\n`, 0o644);
}

/** Replaces a file in one step. */
export async function writeWhole(path: string, text: string, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const next = `${path}.new`;
  await writeFile(next, text, { mode });
  await chmod(next, mode);
  await rename(next, path);
}

/** A file's text; undefined when there is no such file. */
export async function readIfExists(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
