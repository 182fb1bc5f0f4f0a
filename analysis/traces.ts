import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type TracesFile, tracesFileSchema } from "../schema/observed.ts";

/** The sampled operations of a run: null where there are none, or why they cannot be shown. */
export type Traces = TracesFile | { readonly reason: string } | null;

/** Reads `traces.json` of a run folder. No verdict rests on it, so that a damaged one is a remark and nothing more. */
export async function readTraces(runFolder: string): Promise<Traces> {
  let text: string;
  try {
    text = await readFile(join(runFolder, "traces.json"), "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
  try {
    const traces = tracesFileSchema.parse(JSON.parse(text));
    return traces.traces.length === 0 ? null : traces;
  } catch {
    return { reason: "traces.json is not whole, so no sampled operation is shown." };
  }
}
