import { createHash } from "node:crypto";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { EnvironmentError } from "../../schema/errors.ts";
import { removeArchives } from "./apt.ts";
import { lookUp, type Manifest, type ToolSource } from "./cache.ts";
import { findOnPath } from "./find.ts";
import { buildWithGo, pruneBuildCache } from "./go-build.ts";
import type { OrreryHome } from "./home.ts";
import { withLock } from "./lock.ts";
import { distribution, installHint, makeFromPackages, shortHash } from "./packages.ts";
import { type Progress, silentProgress } from "./progress.ts";
import { makeFromRelease, ReleaseUnavailable } from "./release.ts";
import { currentPlatform, type GoBuild, type Platform, type ToolSpec, type ToolTable } from "./tool-spec.ts";
import { type ToolName, tools } from "./versions.ts";

/** What a local cluster consists of and is started with. */
export const clusterTools = [
  "kubernetes",
  "kwokctl",
  "coredns",
  "pause",
  "volume-provisioner",
  "ingress-controller",
  "caddy",
  "containerd",
  "runc",
  "cni-plugins",
  "etcd",
  "iptables",
  "conntrack",
  "s6",
  "iproute2",
  "util-linux",
] as const satisfies readonly ToolName[];

/** What images are built with. */
export const imageTools = ["buildah", "busybox", "pause"] as const satisfies readonly ToolName[];

/** What stacks are deployed with; the Kubernetes plugin is chosen by `pulumiEnvironment`. */
export const pulumiTools = ["pulumi"] as const satisfies readonly ToolName[];

/** Where one tool came from. */
export interface ToolEntry {
  readonly name: string;
  readonly source: ToolSource;
  /** How the content got into the cache; absent for a copy on PATH. */
  readonly origin?: Manifest["source"];
  readonly version: string;
  /** The folder that holds its programs. */
  readonly path: string;
  /** Absolute path of each program. */
  readonly programs: Readonly<Record<string, string>>;
}

/** Tools that are ready to be started. */
export interface Tools {
  /**
   * Absolute path of a program, or of a tool's folder of programs (`cni-plugins`).
   *
   * @throws Error when it was not among the resolved tools
   */
  path(name: string): string;
  /** `PATH` with every resolved tool before the user's own; merge it over `process.env`. */
  readonly env: { readonly PATH: string };
  readonly entries: readonly ToolEntry[];
}

/** Settings of {@link resolveTools}. */
export interface ResolveOptions {
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The user's environment: PATH, Go's and proxy settings. Default `process.env`. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Another table of tools than the project's own; for tests. */
  readonly table?: ToolTable;
  readonly platform?: Platform;
  /** The folder with the Go modules; default `local/` of this project. */
  readonly sources?: string;
}

interface Context {
  readonly home: OrreryHome;
  readonly progress: Progress;
  readonly signal: AbortSignal | undefined;
  readonly environment: NodeJS.ProcessEnv;
  readonly table: ToolTable;
  readonly platform: Platform;
  readonly sources: string;
}

const goSources = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Finds each tool or makes it, in this order: cache (checked by SHA-256), PATH (version checked), official release,
 * Go build, distribution packages (unpacked, never installed). Safe to call from several processes at once; what was
 * interrupted goes on where it stopped.
 *
 * @throws EnvironmentError saying for the first tool that cannot be had what was tried and what to install
 */
export async function resolveTools(
  home: OrreryHome,
  names: readonly ToolName[],
  options: ResolveOptions = {},
): Promise<Tools> {
  return await resolveFrom(home, names, options);
}

/** {@link resolveTools} for a table of tools that is not the project's own. */
export async function resolveFrom(
  home: OrreryHome,
  names: readonly string[],
  options: ResolveOptions = {},
): Promise<Tools> {
  const context: Context = {
    home,
    progress: options.progress ?? silentProgress,
    signal: options.signal,
    environment: options.environment ?? process.env,
    table: options.table ?? tools,
    platform: options.platform ?? currentPlatform(),
    sources: options.sources ?? goSources,
  };
  await home.prepare();
  const wanted = [...new Set(names)];
  const entries: ToolEntry[] = [];
  // What is there already is looked up side by side; what must be made is made one after the other.
  const found = await Promise.all(wanted.map((name) => find(context, name, specOf(context, name))));
  for (const [index, name] of wanted.entries()) {
    entries.push(found[index] ?? (await make(context, name, specOf(context, name))));
  }
  const made = entries.filter((_entry, index) => found[index] === undefined);
  if (made.some((entry) => entry.origin === "package")) await removeArchives(home);
  if (made.some((entry) => entry.origin === "build")) await pruneWhenComplete(home, context);
  return toolsOf(entries, context);
}

/** Where a tool would come from now, without writing anything or reaching the network; `undefined`: it must be made. */
export async function locateTool(
  home: OrreryHome,
  name: string,
  options: ResolveOptions = {},
): Promise<ToolEntry | undefined> {
  const table: ToolTable = options.table ?? tools;
  const context: Context = {
    home,
    progress: silentProgress,
    signal: options.signal,
    environment: options.environment ?? process.env,
    table,
    platform: options.platform ?? currentPlatform(),
    sources: options.sources ?? goSources,
  };
  const spec = specOf(context, name);
  return (await fromCache(context, name, spec, { readOnly: true })) ?? (await onPath(context, name, spec));
}

async function find(context: Context, name: string, spec: ToolSpec): Promise<ToolEntry | undefined> {
  requirePlatform(context, name, spec);
  return (await fromCache(context, name, spec)) ?? (await onPath(context, name, spec));
}

async function make(context: Context, name: string, spec: ToolSpec): Promise<ToolEntry> {
  const lock = join(context.home.locks, name);
  const onWait = (pid: number) => context.progress.note(`${name}: waiting for process ${pid}, which is making it`);
  return await withLock(
    lock,
    async () => {
      const meanwhile = await fromCache(context, name, spec, { isQuiet: true });
      return meanwhile ?? (await makeLocked(context, name, spec));
    },
    { signal: context.signal, onWait },
  );
}

async function makeLocked(context: Context, name: string, spec: ToolSpec): Promise<ToolEntry> {
  const tried = [`not in the cache ${context.home.tools}`, await pathReason(context, spec)];
  if (spec.release !== undefined) {
    const folder = await folderOf(context, name, spec, "release");
    try {
      const manifest = await makeFromRelease(context, name, spec, folder);
      return entryOf(name, folder, manifest, manifest.source);
    } catch (error) {
      if (!(error instanceof ReleaseUnavailable)) throw error;
      tried.push(error.message);
    }
  }
  if (spec.build !== undefined) {
    const folder = await folderOf(context, name, spec, "build");
    const manifest = await buildWithGo(context, name, spec, folder, tried);
    await removeSuperseded(context.home, name);
    return entryOf(name, folder, manifest, manifest.source);
  }
  if (spec.packages !== undefined) {
    const folder = await folderOf(context, name, spec, "package");
    const manifest = await makeFromPackages(context, name, spec, folder);
    return entryOf(name, folder, manifest, manifest.source);
  }
  throw new EnvironmentError(
    `${name} cannot be had: ${tried.join("; ")}.`,
    `Install it: ${installHint(spec.packages)}`,
  );
}

async function fromCache(
  context: Context,
  name: string,
  spec: ToolSpec,
  options: { readonly readOnly?: boolean; readonly isQuiet?: boolean } = {},
): Promise<ToolEntry | undefined> {
  for (const source of ["release", "build", "package"] as const) {
    const kind = source === "package" ? spec.packages : spec[source];
    if (kind === undefined) continue;
    const folder = await folderOf(context, name, spec, source);
    const result = await lookUp(folder, options);
    if (result.state === "intact") return entryOf(name, folder, result.manifest, "cache");
    // The folder is emptied under the tool's lock, when it is made again.
    if (result.state === "corrupt" && options.isQuiet !== true)
      context.progress.note(`${name} in the cache is corrupt and is made again: ${result.reason}`);
  }
  return undefined;
}

async function onPath(context: Context, name: string, spec: ToolSpec): Promise<ToolEntry | undefined> {
  const result = await findOnPath(spec, context.environment, context.signal);
  if (result.programs === undefined || spec.probe === undefined) return undefined;
  const path = dirname(result.programs[spec.probe.program] ?? "");
  return { name, source: "path", version: result.version, path, programs: result.programs };
}

async function pathReason(context: Context, spec: ToolSpec): Promise<string> {
  const result = await findOnPath(spec, context.environment, context.signal);
  return result.programs === undefined ? result.reason : "on PATH";
}

function entryOf(name: string, folder: string, manifest: Manifest, source: ToolSource): ToolEntry {
  const programs = Object.fromEntries(
    Object.entries(manifest.programs).map(([program, path]) => [program, join(folder, path)]),
  );
  return { name, source, origin: manifest.source, version: manifest.version, path: join(folder, "bin"), programs };
}

/**
 * The folder of the cache for one way to make a tool. Its name holds a hash over everything that decides the content,
 * so a folder never has to be judged: it is the right one or another one.
 */
async function folderOf(context: Context, name: string, spec: ToolSpec, source: Manifest["source"]): Promise<string> {
  const words = [name, spec.version, source, context.platform];
  if (source === "release") words.push(...(spec.release ?? []).map((file) => file.url(context.platform) ?? ""));
  for (const build of (source === "build" && spec.build) || []) words.push(await buildKey(context.sources, build));
  if (source === "package") {
    // Wrappers hold absolute paths, and what is missing on a system is the system's own matter.
    words.push(...(spec.packages?.debian ?? []), await distribution(), context.home.tools);
  }
  return join(context.home.tools, `${name}-${source}-${shortHash(words)}`);
}

async function buildKey(sources: string, build: GoBuild): Promise<string> {
  const hash = createHash("sha256");
  const module = join(sources, build.module);
  hash.update(JSON.stringify([build.package, build.output, build.links, build.ldflags]));
  if (build.cgo !== undefined || build.tags !== undefined) hash.update(JSON.stringify([build.cgo, build.tags]));
  const files = [join(module, "go.mod"), join(module, "go.sum")];
  for (const folder of build.sources) {
    const entries = await readdir(join(sources, folder), { recursive: true, withFileTypes: true });
    const names = entries.filter((entry) => entry.isFile() && isCompiled(entry.name));
    files.push(...names.map((entry) => join(entry.parentPath, entry.name)).sort());
  }
  for (const file of files) hash.update(`\0${file.slice(sources.length)}\0`).update(await readFile(file));
  return hash.digest("hex");
}

/** Whether a file of ours can change what a build makes: sources and data embedded in them, not tests or texts. */
function isCompiled(name: string): boolean {
  return !name.endsWith("_test.go") && !name.endsWith(".md");
}

/** Removes builds of earlier sources that nobody has made for a day, all but the newest three. */
async function removeSuperseded(home: OrreryHome, name: string): Promise<void> {
  const builds: { folder: string; madeAt: number }[] = [];
  for (const entry of await readdir(home.tools)) {
    if (!entry.startsWith(`${name}-build-`)) continue;
    const folder = join(home.tools, entry);
    builds.push({ folder, madeAt: (await stat(folder)).mtimeMs });
  }
  builds.sort((left, right) => right.madeAt - left.madeAt);
  for (const { folder, madeAt } of builds.slice(3)) {
    if (Date.now() - madeAt > 24 * 3_600_000) await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Removes Go's caches once nothing is left to be built.
 *
 * @param unwanted Tools that will never be built here
 */
export async function pruneWhenComplete(
  home: OrreryHome,
  options: ResolveOptions = {},
  unwanted: readonly string[] = [],
): Promise<void> {
  const table: ToolTable = options.table ?? tools;
  for (const [name, spec] of Object.entries(table)) {
    if (spec.build === undefined || spec.onDemand === true || unwanted.includes(name)) continue;
    if ((await locateTool(home, name, options)) === undefined) return;
  }
  const freed = await pruneBuildCache(home, options.environment);
  if (freed > 0) options.progress?.note(`all tools are built; removed ${(freed / 1e9).toFixed(1)} GB of build cache`);
}

function requirePlatform(context: Context, name: string, spec: ToolSpec): void {
  if (spec.linuxOnly !== true || context.platform === "linux-x64" || context.platform === "linux-arm64") return;
  throw new EnvironmentError(
    `${name} is needed for a local cluster, which runs on Linux (x64, arm64); this is ${context.platform}.`,
    "Use a cluster you can reach: set orrery:context to the name of a kubeconfig context.",
  );
}

function specOf(context: Context, name: string): ToolSpec {
  const spec = context.table[name];
  if (spec === undefined) throw new Error(`${name} is no tool; there are ${Object.keys(context.table).join(", ")}`);
  return spec;
}

function toolsOf(entries: readonly ToolEntry[], context: Context): Tools {
  const programs = new Map<string, string>();
  for (const entry of entries) {
    if (entry.programs[entry.name] === undefined) programs.set(entry.name, entry.path);
    for (const [program, path] of Object.entries(entry.programs)) {
      if (!programs.has(program)) programs.set(program, path);
    }
  }
  // Folders of plugins hold programs with names like `bridge` and `static`, which nobody wants on PATH.
  const ordinary = entries.filter((entry) => context.table[entry.name]?.packages?.folder === undefined);
  const made = ordinary.filter((entry) => entry.source !== "path").map((entry) => entry.path);
  const found = ordinary.filter((entry) => entry.source === "path").map((entry) => entry.path);
  const own = (context.environment.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const system =
    process.platform === "win32" ? [] : ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
  const PATH = [...new Set([...made, ...own, ...system, ...found])].join(delimiter);
  return {
    path(name) {
      const path = programs.get(name);
      if (path === undefined) throw new Error(`${name} was not resolved; there are ${[...programs.keys()].join(", ")}`);
      return path;
    },
    env: { PATH },
    entries,
  };
}
