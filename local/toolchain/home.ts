import { randomBytes } from "node:crypto";
import { access, constants, link, mkdir, readFile, rm, statfs, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { EnvironmentError } from "../../schema/errors.ts";

/** Free disk space, in bytes, below which nothing is downloaded, built or started. */
export const minimumFreeBytes = 2 * 1024 ** 3;

/**
 * Every path Orrery writes to. Two homes are two worlds that do not see each other; they may share one cache, which
 * holds only what can be made again. Making an object of this class touches no file.
 *
 * @example
 * const home = OrreryHome.fromEnvironment();
 * await home.prepare();
 */
export class OrreryHome {
  /** `ORRERY_HOME`, default `~/.orrery`. */
  readonly root: string;
  /** `ORRERY_CACHE`, default `<root>/cache`. */
  readonly cache: string;
  /** Finished tools, one folder each. */
  readonly tools: string;
  /** Downloads under way. */
  readonly downloads: string;
  /** The private state of the package manager. */
  readonly apt: string;
  /** Unpacked package sets. */
  readonly sysroots: string;
  /** Go's module and build caches, unless the user has set others. */
  readonly go: string;
  readonly locks: string;
  readonly clusters: string;
  readonly images: string;
  /** `PULUMI_HOME`. */
  readonly pulumi: string;
  /** The folder behind `PULUMI_BACKEND_URL`. */
  readonly state: string;
  /** `PULUMI_CONFIG_PASSPHRASE_FILE`; made by {@link OrreryHome.ensurePassphrase}. */
  readonly passphrase: string;

  constructor(paths: { readonly root: string; readonly cache?: string | undefined }) {
    this.root = resolve(paths.root);
    this.cache = paths.cache === undefined ? join(this.root, "cache") : resolve(paths.cache);
    this.tools = join(this.cache, "tools");
    this.downloads = join(this.cache, "downloads");
    this.apt = join(this.cache, "apt");
    this.sysroots = join(this.cache, "sysroots");
    this.go = join(this.cache, "go");
    this.locks = join(this.cache, "locks");
    this.clusters = join(this.root, "clusters");
    this.images = join(this.root, "images");
    this.pulumi = join(this.root, "pulumi");
    this.state = join(this.root, "state");
    this.passphrase = join(this.root, "passphrase");
  }

  /** The home the environment names. */
  static fromEnvironment(env: NodeJS.ProcessEnv = process.env): OrreryHome {
    return new OrreryHome({
      root: env.ORRERY_HOME || join(homedir(), ".orrery"),
      cache: env.ORRERY_CACHE || undefined,
    });
  }

  /**
   * Makes root and cache and checks that both can be written and that there is room.
   *
   * @throws EnvironmentError naming the folder, the reason and the variable to set
   */
  async prepare(): Promise<void> {
    await makeWritable(this.root, "ORRERY_HOME");
    await makeWritable(this.cache, "ORRERY_CACHE");
    await requireDiskSpace(this.cache);
    await requireDiskSpace(this.root);
  }

  /**
   * Makes the passphrase of the local Pulumi state if there is none: 32 random bytes, readable by the user alone.
   * Of several processes that do so at the same time one wins and all use its passphrase.
   *
   * @returns the file's path
   */
  async ensurePassphrase(): Promise<string> {
    if (await holdsText(this.passphrase)) return this.passphrase;
    await makeWritable(this.root, "ORRERY_HOME");
    const own = `${this.passphrase}.${process.pid}-${randomBytes(4).toString("hex")}`;
    await writeFile(own, `${randomBytes(32).toString("base64url")}\n`, { mode: 0o600, flag: "wx" });
    try {
      await link(own, this.passphrase);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    } finally {
      await rm(own);
    }
    if (await holdsText(this.passphrase)) return this.passphrase;
    throw new EnvironmentError(
      `The passphrase file ${this.passphrase} is empty, so the stacks of this home cannot be read.`,
      "Restore it from a copy, or remove it together with the state folder beside it to start afresh.",
    );
  }
}

/**
 * @param path A folder, which need not exist yet: the nearest one above it that does is measured.
 * @throws EnvironmentError when fewer than `bytes` are free on its disk
 */
export async function requireDiskSpace(path: string, bytes: number = minimumFreeBytes): Promise<void> {
  const free = await freeBytes(path);
  if (free >= bytes) return;
  const size = (count: number) => `${(count / 1024 ** 3).toFixed(1)} GiB`;
  throw new EnvironmentError(
    `The disk that holds ${path} has ${size(free)} free; ${size(bytes)} are needed.`,
    "Free some space, or set ORRERY_HOME (and ORRERY_CACHE) to a folder on another disk.",
  );
}

/** Free bytes for this user on the disk of `path` or of the nearest folder above it that exists. */
export async function freeBytes(path: string): Promise<number> {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    try {
      const info = await statfs(folder);
      return info.bavail * info.bsize;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || folder === dirname(folder)) throw error;
    }
  }
}

async function makeWritable(folder: string, variable: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o755 });
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new EnvironmentError(
      `The folder ${folder} cannot be written: ${(error as Error).message}.`,
      `Give this user the right to write it, or set ${variable} to a folder that can be written.`,
      { cause: error },
    );
  }
}

async function holdsText(file: string): Promise<boolean> {
  try {
    return (await readFile(file, "utf8")).trim() !== "";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
