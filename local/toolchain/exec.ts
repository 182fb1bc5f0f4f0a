import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** How a program is started. */
export interface ExecOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly signal?: AbortSignal | undefined;
  /** Kill the program after this many milliseconds. */
  readonly timeoutMs?: number;
  /** Called with each line of output as it appears. */
  readonly onLine?: (line: string, stream: "stdout" | "stderr") => void;
}

/** What a program that ended left. */
export interface ExecResult {
  /** Exit code; `null` when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end, in a process group of its own so that an abort takes its children along.
 * A non-zero exit is a result, not an error.
 *
 * @throws the signal's reason when aborted, and the system's error when the program cannot be started
 */
export async function exec(file: string, args: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  options.signal?.throwIfAborted();
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const kill = () => killGroup(child.pid);
  options.signal?.addEventListener("abort", kill, { once: true });
  const timer = options.timeoutMs === undefined ? undefined : setTimeout(kill, options.timeoutMs);
  const output = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8");
    if (options.onLine === undefined) {
      child[stream].on("data", (text: string) => {
        output[stream] += text;
      });
    } else {
      const onLine = options.onLine;
      createInterface({ input: child[stream] }).on("line", (line) => {
        output[stream] += `${line}\n`;
        onLine(line, stream);
      });
    }
  }
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    options.signal?.throwIfAborted();
    return { code, ...output };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", kill);
  }
}

/**
 * Runs a program that is expected to succeed and returns what it printed on standard output.
 *
 * @throws Error with the command line, the exit code and the last lines of its output
 */
export async function run(file: string, args: readonly string[], options: ExecOptions = {}): Promise<string> {
  const result = await exec(file, args, options);
  if (result.code === 0) return result.stdout;
  const tail = `${result.stdout}\n${result.stderr}`.trim().split("\n").slice(-12).join("\n");
  const how = result.code === null ? "was killed" : `exited with ${result.code}`;
  throw new Error(`${file} ${args.join(" ")} ${how}:\n${tail}`);
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    // The group has ended by itself between the decision and the signal.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
