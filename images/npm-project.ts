import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../local/toolchain/exec.ts";
import type { OrreryHome } from "../local/toolchain/home.ts";
import { withLock } from "../local/toolchain/lock.ts";
import { EnvironmentError } from "../schema/errors.ts";

/** An npm project of its own: a folder with package.json and package-lock.json whose packages an image runs. */
export interface NpmProject {
  /** The folder, from the project's root. */
  readonly project: string;
  /** Packages with a native part that has to be made; no other package's install scripts are run. */
  readonly rebuild?: readonly string[];
  /** Paths below node_modules that are left out, besides maps, types and texts. */
  readonly except?: readonly string[];
}

interface Context {
  readonly root: string;
  readonly home: OrreryHome;
  readonly signal: AbortSignal | undefined;
}

/** What no program reads: source maps, types, texts, npm's own notes. */
const notRun = /(\.map|\.d\.[cm]?ts|\.tsbuildinfo|\.md|\.markdown)$|\/\.package-lock\.json$|\/\.bin$/;
/** Native programs for other systems. */
const foreign = /\/prebuilds\/(?!linux-)/;
/** Of a native build, anything but the program: objects, archives, Makefiles with this machine's paths. */
const buildRest = /^\/build\/(?!Release(\/[^/]+\.node)?$)/;

/** Tells whether the packages would be others, without installing them. */
export async function projectFingerprint(part: NpmProject, root: string): Promise<string> {
  const rules = [notRun, foreign, buildRest].map(({ source }) => source);
  const hash = createHash("sha256").update(JSON.stringify([rules, part.except ?? []]));
  return hash.update(await installFingerprint(part, root)).digest("hex");
}

async function installFingerprint(part: NpmProject, root: string): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify([part.rebuild ?? [], process.arch]));
  for (const file of ["package.json", "package-lock.json"]) hash.update(await readFile(join(root, part.project, file)));
  return hash.digest("hex");
}

/**
 * Puts a project's packages at `to`, as its lock file has them. They are installed once and kept in the cache.
 *
 * @throws EnvironmentError when npm cannot fetch them, or a native part cannot be made
 */
export async function placeProject(part: NpmProject, to: string, context: Context): Promise<void> {
  const modules = join(await installed(part, context), "node_modules");
  const skipped = new Set((part.except ?? []).map((path) => join(modules, path)));
  await cp(modules, to, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !skipped.has(path) && !isLeftOut(path.slice(modules.length), part.rebuild),
  });
}

/** Whether a file or folder, by its path below node_modules, is left out of images; `rebuilt` as in {@link NpmProject}. */
export function isLeftOut(path: string, rebuilt: readonly string[] = []): boolean {
  const built = rebuilt.find((name) => path.startsWith(`/${name}/`));
  if (built !== undefined && buildRest.test(path.slice(built.length + 1))) return true;
  return notRun.test(path) || foreign.test(path);
}

/** The folder with the installed project. */
async function installed(part: NpmProject, context: Context): Promise<string> {
  const id = (await installFingerprint(part, context.root)).slice(0, 12);
  const name = part.project.replaceAll("/", "-");
  const parent = join(context.home.cache, "npm");
  const folder = join(parent, `${name}-${id}`);
  await mkdir(parent, { recursive: true });
  const body = async () => {
    if (await isThere(folder)) return;
    const unfinished = `${folder}.new`;
    await rm(unfinished, { recursive: true, force: true });
    await mkdir(unfinished);
    for (const file of ["package.json", "package-lock.json"]) {
      await cp(join(context.root, part.project, file), join(unfinished, file));
    }
    await install(part, unfinished, context);
    await rename(unfinished, folder);
    for (const other of await readdir(parent)) {
      if (new RegExp(`^${name}-[0-9a-f]{12}$`).test(other) && join(parent, other) !== folder) {
        await rm(join(parent, other), { recursive: true, force: true });
      }
    }
  };
  await withLock(join(context.home.locks, `npm-${name}`), body, { signal: context.signal });
  return folder;
}

async function install(part: NpmProject, cwd: string, { signal }: Context): Promise<void> {
  const quiet = ["--no-audit", "--no-fund", "--no-update-notifier"];
  await run("npm", ["ci", "--ignore-scripts", "--omit=dev", ...quiet], { cwd, signal }).catch((error: Error) => {
    signal?.throwIfAborted();
    throw new EnvironmentError(
      `The packages of ${part.project} cannot be had: ${error.message}`,
      "Check that npm can reach its registry (npm ping), then try again.",
      { cause: error },
    );
  });
  for (const name of part.rebuild ?? []) {
    await run("npm", ["rebuild", name, "--foreground-scripts", ...quiet], { cwd, signal }).catch((error: Error) => {
      signal?.throwIfAborted();
      throw new EnvironmentError(
        `The native part of ${name} (${part.project}) can be neither downloaded nor compiled: ${error.message}`,
        "Install a C++ compiler, make and Python 3 (Debian: build-essential, python3), or use published images.",
        { cause: error },
      );
    });
  }
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return false;
      throw error;
    },
  );
}
