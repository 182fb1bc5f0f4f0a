import { access, constants, readdir, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { exec } from "./exec.ts";
import type { ToolSpec } from "./tool-spec.ts";
import { describeRange, isAccepted } from "./version-range.ts";

/** What looking for a tool on PATH gave. */
export type Found =
  | { readonly programs: Readonly<Record<string, string>>; readonly version: string }
  | { readonly programs: undefined; readonly reason: string };

/**
 * Looks through PATH, the system's own folders and those the table names for one folder that holds all programs of a
 * tool in an accepted version. Programs of different folders are never mixed: they might not fit together.
 */
export async function findOnPath(
  spec: ToolSpec,
  environment: NodeJS.ProcessEnv,
  signal?: AbortSignal | undefined,
): Promise<Found> {
  const probe = spec.probe;
  if (probe === undefined || spec.neverFromPath === true) return { programs: undefined, reason: "not taken from PATH" };
  const reasons: string[] = [];
  for (const folder of searchPath(spec, environment)) {
    const program = join(folder, probe.program);
    if (!(await isExecutable(program))) continue;
    const missing = await missingPrograms(folder, spec.programs);
    if (missing.length > 0) {
      reasons.push(`${folder} has ${probe.program} but not ${missing.join(", ")}`);
      continue;
    }
    const result = await exec(program, probe.args, { env: environment, signal, timeoutMs: 10_000 });
    const version = probe.pattern.exec(`${result.stdout}\n${result.stderr}`)?.[1];
    if (version === undefined) reasons.push(`${program} does not tell its version${said(result.stderr)}`);
    else if (!isAccepted(version, probe.accepted)) {
      reasons.push(`${program} is version ${version}, needed is ${describeRange(probe.accepted)}`);
    } else {
      return { programs: await programsIn(folder, spec), version };
    }
  }
  return { programs: undefined, reason: reasons.length > 0 ? reasons.join("; ") : `${probe.program} is not on PATH` };
}

const said = (stderr: string) => {
  const [first] = stderr.trim().split("\n");
  return first ? `, but says: ${first}` : "";
};

/** The folders a tool is looked for in. */
export function searchPath(spec: ToolSpec, environment: NodeJS.ProcessEnv): string[] {
  const own = (environment.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  // Users who are not root seldom have these on PATH, though servers live there.
  const system = process.platform === "linux" && own.length > 0 ? ["/usr/local/sbin", "/usr/sbin", "/sbin"] : [];
  const extra = (spec.folders ?? []).map((folder) => folder.replace(/^~/, environment.HOME ?? homedir()));
  return [...new Set([...own, ...system, ...extra])];
}

/** Whether a path is a file this user may execute. */
export async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "EACCES" || code === "ENOTDIR" || code === "ELOOP") return false;
    throw error;
  }
}

async function missingPrograms(folder: string, programs: readonly string[]): Promise<string[]> {
  const checks = await Promise.all(programs.map((program) => isExecutable(join(folder, program))));
  return programs.filter((_, index) => checks[index] === false);
}

async function programsIn(folder: string, spec: ToolSpec): Promise<Record<string, string>> {
  const names = spec.packages?.folder === undefined ? spec.programs : await readdir(folder);
  return Object.fromEntries(names.map((name) => [name, join(folder, name)]));
}
