import { spawn } from "node:child_process";
import { mkdir, open, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { EnvironmentError } from "../../schema/errors.ts";
import type { ClusterPaths } from "./paths.ts";
import { allPids, identify, type ProcessIdentity, readProc, waitUntil } from "./processes.ts";

/** Namespaces a cluster has of its own, as `unshare` and `nsenter` call them. */
const namespaces = ["--mount", "--net", "--pid", "--uts", "--ipc"] as const;

/** The processes that hold a cluster up. */
export interface InitProcesses {
  /** Process 1 of the cluster; undefined when it has not started or is gone. */
  readonly init: ProcessIdentity | undefined;
  /** Its parent outside, which made the namespaces. */
  readonly parents: readonly ProcessIdentity[];
}

/**
 * Finds a cluster's first processes among all processes of the machine, by the boot script or scan folder on their
 * command lines: that holds whatever became of the cluster's record.
 */
export async function findInit(paths: ClusterPaths): Promise<InitProcesses> {
  let init: ProcessIdentity | undefined;
  const parents: ProcessIdentity[] = [];
  for (const pid of await allPids()) {
    const words = (await readProc(`${pid}/cmdline`))?.split("\0") ?? [];
    if (!words.includes(paths.bootScript) && !isSupervisor(words, paths)) continue;
    const process = await identify(pid);
    const ids = /^NSpid:\t(.*)$/m.exec((await readProc(`${pid}/status`)) ?? "")?.[1]?.split("\t") ?? [];
    if (process === undefined) continue;
    if (ids.length > 1 && ids.at(-1) === "1") init = process;
    else if (ids.length === 1) parents.push(process);
  }
  return { init, parents };
}

function isSupervisor(words: readonly string[], paths: ClusterPaths): boolean {
  return (words[0]?.endsWith("s6-svscan") ?? false) && words.includes(paths.services);
}

/**
 * Starts the boot script as process 1 of fresh namespaces, on its own and for good: it outlives this process.
 *
 * @param programs PATH to start it with, and `unshare`.
 * @throws EnvironmentError when the namespaces cannot be made
 */
export async function startInit(
  paths: ClusterPaths,
  programs: { readonly path: string; readonly unshare: string },
  signal?: AbortSignal,
): Promise<ProcessIdentity> {
  await mkdir(dirname(paths.bootLog), { recursive: true });
  const log = await open(paths.bootLog, "w");
  let ended: string | undefined;
  try {
    const child = spawn(
      programs.unshare,
      [...namespaces, "--fork", "--kill-child", "--propagation", "private", "--", "/bin/sh", paths.bootScript],
      { detached: true, stdio: ["ignore", log.fd, log.fd], env: { PATH: programs.path }, cwd: "/" },
    );
    child.once("error", (error) => {
      ended = error.message;
    });
    child.once("exit", (code, by) => {
      ended = `it ended with ${code === null ? by : `exit code ${code}`}`;
    });
    child.unref();
  } finally {
    await log.close();
  }
  let init: ProcessIdentity | undefined;
  const started = async () => {
    init = (await findInit(paths)).init;
    return init !== undefined || ended !== undefined;
  };
  await waitUntil(started, 10_000, { intervalMs: 10, signal });
  if (init !== undefined) return init;
  const output = (await readFile(paths.bootLog, "utf8")).trim();
  throw new EnvironmentError(
    `The cluster's first process did not start: ${ended ?? "nothing happened in 10 s"}${output === "" ? "" : `: ${output}`}.`,
    "Making namespaces needs root with CAP_SYS_ADMIN: in a container, run it privileged.",
  );
}

/** The command that runs a program inside a cluster's namespaces. */
export function enterCommand(nsenter: string, init: ProcessIdentity): string[] {
  return [nsenter, "--target", String(init.pid), ...namespaces, "--"];
}

/** PATH of the cluster's processes, so that the supervisor's own programs are found without the toolchain. */
export async function pathOf(init: ProcessIdentity): Promise<string> {
  const environment = (await readProc(`${init.pid}/environ`)) ?? "";
  return /(?:^|\0)PATH=([^\0]*)/.exec(environment)?.[1] ?? "/usr/sbin:/usr/bin:/sbin:/bin";
}
