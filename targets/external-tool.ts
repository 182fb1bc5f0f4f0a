import { type ExecOptions, type ExecResult, exec } from "../local/toolchain/exec.ts";
import { EnvironmentError } from "../schema/errors.ts";

/** A program of the user's that a target is driven with: never downloaded, never updated by us. */
export interface ExternalTool {
  readonly program: string;
  /** Where people get it. */
  readonly website: string;
}

/**
 * Runs an external tool to its end. A non-zero exit is a result.
 *
 * @throws EnvironmentError when it is not on PATH
 */
export async function runTool(
  tool: ExternalTool,
  args: readonly string[],
  options: ExecOptions = {},
): Promise<ExecResult> {
  try {
    return await exec(tool.program, args, options);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new EnvironmentError(`${tool.program} is not on PATH.`, `Install it: ${tool.website}`, { cause: error });
  }
}

/** The last lines a tool printed, for an error; its standard error unless it is silent. */
export function lastWords(result: ExecResult, lines = 4): string {
  const text = result.stderr.trim() === "" ? result.stdout : result.stderr;
  return text.trim().split("\n").slice(-lines).join("\n") || `it ended with ${result.code} and said nothing`;
}
