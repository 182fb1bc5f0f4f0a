import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, stat, statfs, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream } from "node:stream/web";
import { z } from "zod";
import { faultEvidenceSchema } from "../../schema/run.ts";

const workerStateSchema = z.strictObject({
  pod: z.string().nullable(),
  node: z.string().nullable(),
  joinedAtMs: z.number().nullable(),
  doneAtMs: z.number().nullable(),
});

/** What the conductor must not forget of a run when it is started again. */
export const runStateSchema = z.strictObject({
  firstJoinAtMs: z.number().nullable(),
  startAtMs: z.number().nullable(),
  workers: z.array(workerStateSchema),
  faults: z.array(faultEvidenceSchema),
  complete: z.boolean(),
});
export type RunState = z.output<typeof runStateSchema>;

/** A delivered file differs from its checksum, or from what is already kept. */
export class FileRefused extends Error {
  readonly status: 400 | 409;
  constructor(status: 400 | 409, message: string) {
    super(message);
    this.name = "FileRefused";
    this.status = status;
  }
}

export interface KeptFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** How many complete runs a volume keeps. */
export interface Retention {
  readonly keep: number;
  /** Where less than this share of it is free. */
  readonly keepWhenScarce: number;
  readonly scarceShare: number;
}

const partSuffix = ".part";

/**
 * One run's folder on the volume: `state.json`, and `files/` with what is delivered. Every file appears whole or not at
 * all, and stays as it is.
 */
export class RunStore {
  readonly #folder: string;
  #queue: Promise<void> = Promise.resolve();
  #parts = 0;

  constructor(dataFolder: string, run: string) {
    this.#folder = join(dataFolder, "runs", run);
  }

  /** Names of the runs that have a folder. */
  static async runs(dataFolder: string): Promise<string[]> {
    await mkdir(join(dataFolder, "runs"), { recursive: true });
    return await readdir(join(dataFolder, "runs"));
  }

  /**
   * Complete runs the volume need not keep, oldest first by their start. A run whose state cannot be read is left alone.
   *
   * @param besides A run that is not counted.
   */
  static async expendable(dataFolder: string, retention: Retention, besides: string): Promise<string[]> {
    const complete: { name: string; startAtMs: number }[] = [];
    for (const name of await RunStore.runs(dataFolder)) {
      const state = name === besides ? undefined : await new RunStore(dataFolder, name).readState().catch(ifUnreadable);
      if (state?.complete === true) {
        complete.push({ name, startAtMs: state.startAtMs ?? state.firstJoinAtMs ?? 0 });
      }
    }
    const { bavail, blocks } = await statfs(dataFolder);
    const keep = bavail < blocks * retention.scarceShare ? retention.keepWhenScarce : retention.keep;
    return complete
      .sort((a, b) => a.startAtMs - b.startAtMs)
      .slice(0, Math.max(0, complete.length - keep))
      .map(({ name }) => name);
  }

  /** Removes all of the run from the volume. */
  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async readState(): Promise<RunState | undefined> {
    const text = await readIfThere(join(this.#folder, "state.json"));
    return text === undefined ? undefined : runStateSchema.parse(JSON.parse(text.toString()));
  }

  /** Writes the state; calls follow one another, so that the last one given is the one kept. */
  saveState(state: RunState): Promise<void> {
    const text = JSON.stringify(state);
    const saved = this.#queue.then(() => this.#replace(join(this.#folder, "state.json"), text));
    this.#queue = saved.catch(() => undefined); // whoever called is told; the next write is tried all the same
    return saved;
  }

  async readFile(path: string): Promise<Buffer | undefined> {
    return await readIfThere(this.#pathOf(path));
  }

  /** Where a kept file lies, with its size; undefined when there is none. */
  async locate(path: string): Promise<{ file: string; bytes: number } | undefined> {
    const file = this.#pathOf(path);
    const found = await stat(file).catch(ifMissing);
    return found === undefined || !found.isFile() ? undefined : { file, bytes: found.size };
  }

  /** Keeps a text under a path; the same text again is welcome, another is refused. */
  async keepText(path: string, text: string): Promise<void> {
    const sha256 = createHash("sha256").update(text).digest("hex");
    await this.keep(path, Readable.toWeb(Readable.from([Buffer.from(text)])) as ReadableStream, sha256);
  }

  /**
   * Keeps a file once all of it has arrived and matches its checksum.
   *
   * @throws FileRefused when it does not match, or another content is already kept there
   */
  async keep(path: string, body: ReadableStream, sha256: string): Promise<void> {
    const target = this.#pathOf(path);
    this.#parts += 1;
    const part = `${target}.${this.#parts}${partSuffix}`;
    await mkdir(dirname(target), { recursive: true });
    try {
      const found = await receive(body, part);
      if (found !== sha256) {
        throw new FileRefused(400, `${path} arrived damaged: sha256 ${found}, expected ${sha256}; send it again`);
      }
      const kept = await digestOf(target);
      if (kept !== undefined && kept !== found) {
        throw new FileRefused(409, `${path} is already kept with another content (sha256 ${kept})`);
      }
      await rename(part, target);
      await syncFolder(dirname(target));
    } finally {
      await rm(part, { force: true });
    }
  }

  /** Every kept file, by path. */
  async list(): Promise<KeptFile[]> {
    const root = join(this.#folder, "files");
    const entries = (await readdir(root, { recursive: true, withFileTypes: true }).catch(ifMissing)) ?? [];
    const paths = entries
      .filter((entry) => entry.isFile() && !entry.name.endsWith(partSuffix))
      .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
      .sort();
    const files: KeptFile[] = [];
    for (const path of paths) {
      const { size } = await stat(join(root, path));
      files.push({ path, bytes: size, sha256: (await digestOf(join(root, path))) ?? "" });
    }
    return files;
  }

  #pathOf(path: string): string {
    if (path.split("/").some((step) => !/^[a-z0-9][a-z0-9._-]{0,63}$/.test(step)) || path.endsWith(partSuffix)) {
      throw new FileRefused(400, `"${path}" is no path of a run's file: lower-case letters, digits, dots and dashes`);
    }
    return join(this.#folder, "files", path);
  }

  async #replace(target: string, text: string): Promise<void> {
    const part = `${target}${partSuffix}`;
    await mkdir(dirname(target), { recursive: true });
    await writeFile(part, text, { flush: true });
    await rename(part, target);
    await syncFolder(dirname(target));
  }
}

/** Writes a body to a file on the disk itself; its digest. */
async function receive(body: ReadableStream, file: string): Promise<string> {
  const hash = createHash("sha256");
  const hashing = new Transform({
    transform: (chunk: Buffer, _encoding, next) => {
      hash.update(chunk);
      next(null, chunk);
    },
  });
  await pipeline(Readable.fromWeb(body), hashing, createWriteStream(file, { flush: true }));
  return hash.digest("hex");
}

async function digestOf(file: string): Promise<string | undefined> {
  const handle = await open(file).catch(ifMissing);
  if (handle === undefined) {
    return undefined;
  }
  const hash = createHash("sha256");
  for await (const chunk of handle.createReadStream()) {
    hash.update(chunk);
  }
  return hash.digest("hex");
}

/** A renamed file outlives a crash of the machine only once its folder is on the disk. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  return await readFile(file).catch(ifMissing);
}

/** Whether a write failed because volume or quota is used up. */
export function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
}

function ifUnreadable(error: unknown): undefined {
  if (error instanceof SyntaxError || error instanceof z.ZodError) {
    return undefined;
  }
  throw error;
}

function ifMissing(error: unknown): undefined {
  if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR")) {
    return undefined;
  }
  throw error;
}
