/**
 * Ends a peer as a crash would: SIGKILL to js-ceramic and kubo, no chance to flush or to say good-bye. It is run in the
 * peer's pod, whose containers share their processes: the kernel protects a first process from its own namespace.
 *
 * Exit codes: 0 at least one process was killed, 1 there was none.
 */
import { readdir, readFile } from "node:fs/promises";

/** What the command lines of the two programs hold; kubo first, since js-ceramic ends when it is gone. */
const programs = [/^\S*ipfs\0daemon\0/, /\/@ceramicnetwork\/cli\/bin\/ceramic\.js\0daemon\0/];

const processes = await Promise.all(
  (await readdir("/proc"))
    .filter((name) => /^\d+$/.test(name))
    .map(async (pid) => ({
      pid: Number(pid),
      // a process may end while it is looked at; then there is nothing left to kill
      command: await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""),
    })),
);
const victims = programs.flatMap((program) => processes.filter(({ command }) => program.test(command)));
for (const { pid } of victims) process.kill(pid, "SIGKILL");
console.log(victims.length === 0 ? "there is no process of a peer" : `killed ${victims.length} processes`);
process.exitCode = victims.length === 0 ? 1 : 0;
