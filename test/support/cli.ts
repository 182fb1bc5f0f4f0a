import { spawn } from "node:child_process";
import { resolve } from "node:path";

export interface CommandOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, whatever its exit code. */
export function execute(
  program: string,
  args: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv; readonly cwd?: string; readonly onStderr?: (text: string) => void } = {},
): Promise<CommandOutcome> {
  return new Promise((done, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd ?? resolve("."),
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk: Buffer) => {
      output.stdout += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      output.stderr += chunk.toString();
      options.onStderr?.(chunk.toString());
    });
    child.on("error", reject);
    child.on("close", (code) => done({ code: code ?? -1, ...output }));
  });
}

/** Runs the `orrery` command. */
export function orrery(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CommandOutcome> {
  return execute(process.execPath, [resolve("cli/orrery.js"), ...args], { env });
}
