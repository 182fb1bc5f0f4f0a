import { readdir, readFile, readlink } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** One process, told apart from a later one with the same id by when it started. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since the machine's start. */
  readonly started: string;
}

/** The process with this id; undefined when there is none, or it is dead and only not collected yet. */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  const text = await readProc(`${pid}/stat`);
  if (text === undefined) return undefined;
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : { pid, started: fields[19] ?? "" };
}

/** Whether this very process is still there. */
export async function isAlive(process: ProcessIdentity): Promise<boolean> {
  return (await identify(process.pid))?.started === process.started;
}

/** Sends a signal; a process that is gone already is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Waits until a condition holds; false when it did not within `timeoutMs`. */
export async function waitUntil(
  condition: () => Promise<boolean>,
  timeoutMs: number,
  options: { readonly intervalMs?: number; readonly signal?: AbortSignal | undefined } = {},
): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    options.signal?.throwIfAborted();
    if (await condition()) return true;
    if (performance.now() >= end) return false;
    await sleep(options.intervalMs ?? 50);
  }
}

/** Ids of all processes this process can see. */
export async function allPids(): Promise<number[]> {
  const names = await readdir("/proc");
  return names.filter((name) => /^\d+$/.test(name)).map(Number);
}

/** A process's namespace of a kind, e.g. `pid:[4026531836]`; undefined when the process is gone or has none any more. */
export async function namespaceOf(pid: number | "self", kind: "pid" | "net" | "mnt"): Promise<string | undefined> {
  try {
    return await readlink(`/proc/${pid}/ns/${kind}`);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** A file below /proc, or undefined when its process is gone. */
export async function readProc(file: string): Promise<string | undefined> {
  try {
    return await readFile(`/proc/${file}`, "utf8");
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

function isGone(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "ENOENT" || code === "ESRCH" || code === "EINVAL" || code === "EACCES";
}
