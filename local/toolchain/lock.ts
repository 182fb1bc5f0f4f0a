import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

interface Owner {
  readonly token: string;
  readonly pid: number;
  /** When the process started, in the kernel's words; tells a reused process id from the owner. */
  readonly started: string;
  readonly host: string;
}

/** Settings of one lock. */
export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called once when another process holds the lock, with its process id. */
  readonly onWait?: (pid: number) => void;
}

/**
 * Runs `body` while no other process, and nothing else in this one, holds the lock `path`. Waits as long as it takes.
 *
 * The lock is a folder that holds its owner's name and is renamed into place: renaming onto a folder that is not
 * empty fails, so there is one winner, and a lock is never seen without an owner. The lock of a process that has died
 * is renamed to a name made of its token, which can succeed only once, so two processes that both find it stale cannot
 * take each other's fresh lock away.
 */
export async function withLock<T>(path: string, body: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  const token = await acquire(path, options);
  try {
    return await body();
  } finally {
    const away = `${path}.released-${token}`;
    await rename(path, away);
    await rm(away, { recursive: true });
  }
}

async function acquire(path: string, options: LockOptions): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  const owner: Owner = {
    token: randomUUID(),
    pid: process.pid,
    started: await startOf(process.pid),
    host: hostname(),
  };
  const mine = `${path}.new-${owner.token}`;
  await mkdir(mine);
  await writeFile(join(mine, "owner.json"), JSON.stringify(owner));
  let told = false;
  try {
    for (;;) {
      options.signal?.throwIfAborted();
      if (await moved(mine, path)) return owner.token;
      const holder = await readOwner(path);
      if (holder === undefined) continue;
      if (await isStale(holder)) {
        await moved(path, `${path}.stale-${holder.token}`);
        await removeOldStale(path);
        continue;
      }
      if (!told) options.onWait?.(holder.pid);
      told = true;
      await sleep(100, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
  } catch (error) {
    await rm(mine, { recursive: true, force: true });
    throw error;
  }
}

async function moved(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOTEMPTY" || code === "EEXIST" || code === "EPERM") return false;
    if (code === "ENOENT" && from.includes(".new-") === false) return false;
    throw error;
  }
}

async function readOwner(path: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(join(path, "owner.json"), "utf8")) as Owner;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** A lock of another machine on a shared disk is taken for alive: nobody here can tell. */
async function isStale(owner: Owner): Promise<boolean> {
  if (owner.host !== hostname()) return false;
  return (await startOf(owner.pid)) !== owner.started;
}

/** The start time of a process, `alive` where the system does not tell it, empty when there is no such process. */
async function startOf(pid: number): Promise<string> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return "";
  }
  if (process.platform !== "linux") return "alive";
  try {
    const text = await readFile(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const boot = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
    // A killed process whose parent has not collected it holds no lock any more.
    return fields[0] === "Z" ? "" : `${boot}/${fields[19]}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

/** Tokens of broken locks are kept for an hour, far longer than anybody can still act on having read one. */
async function removeOldStale(path: string): Promise<void> {
  const folder = dirname(path);
  for (const name of await readdir(folder)) {
    if (!name.includes(".stale-")) continue;
    const entry = join(folder, name);
    const info = await stat(entry).catch(() => undefined);
    if (info !== undefined && Date.now() - info.ctimeMs > 3_600_000) await rm(entry, { recursive: true, force: true });
  }
}
