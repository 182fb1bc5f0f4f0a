import { mkdir, readdir, readFile, rm, stat, symlink } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { EnvironmentError } from "../../schema/errors.ts";
import { freshFolder, type Manifest, seal } from "./cache.ts";
import { type ExecOptions, run } from "./exec.ts";
import { findOnPath } from "./find.ts";
import type { OrreryHome } from "./home.ts";
import { minimumFreeBytes, requireDiskSpace } from "./home.ts";
import { withLock } from "./lock.ts";
import { Eta, type Progress } from "./progress.ts";
import { requireVersion } from "./release.ts";
import type { GoBuild, ToolSpec } from "./tool-spec.ts";

/** What building needs to know. */
export interface GoContext {
  readonly home: OrreryHome;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
  readonly environment: NodeJS.ProcessEnv;
  /** The folder the modules are below. */
  readonly sources: string;
}

/** Go's caches grow to about this size over the builds of all tools. */
const coldBuildBytes = 6 * 1024 ** 3;

/**
 * Builds a tool with the Go compiler on PATH; module downloads are checked against go.sum. Builds of all processes
 * that share the cache run one after the other. What an interrupted build has compiled is not compiled again.
 *
 * @param tried What was tried before, for the error
 * @throws EnvironmentError when Go is missing or too old, or the build fails
 */
export async function buildWithGo(
  context: GoContext,
  name: string,
  spec: ToolSpec,
  folder: string,
  tried: readonly string[],
): Promise<Manifest> {
  const builds = spec.build ?? [];
  for (const build of builds) await requireGo(context, name, join(context.sources, build.module), tried);
  if (builds.some(({ cgo }) => cgo)) await requireC(context, name, tried);
  await requireBuildSpace(context);
  const onWait = (pid: number) => context.progress.note(`${name}: waiting for the build of process ${pid}`);
  return await withLock(
    join(context.home.locks, "go-build"),
    async () => {
      await freshFolder(folder);
      await mkdir(join(folder, "bin"));
      for (const build of builds) await buildOne(context, build, join(folder, "bin"));
      await requireVersion(name, spec, join(folder, "bin"));
      const programs = Object.fromEntries(spec.programs.map((program) => [program, join("bin", program)]));
      return await seal(folder, { name, version: spec.version, source: "build", verified: "go.sum", programs });
    },
    { signal: context.signal, onWait },
  );
}

/**
 * Removes Go's caches below `ORRERY_CACHE`, which are needed only while something is still to be built. Caches the
 * user chose are left alone.
 *
 * @returns bytes freed
 */
export async function pruneBuildCache(home: OrreryHome, environment: NodeJS.ProcessEnv = process.env): Promise<number> {
  return await withLock(join(home.locks, "go-build"), async () => {
    let freed = 0;
    for (const [variable, folder] of [
      ["GOCACHE", "build"],
      ["GOMODCACHE", "mod"],
    ] as const) {
      if (environment[variable] !== undefined && environment[variable] !== "") continue;
      const path = join(home.go, folder);
      freed += await bytesIn(path);
      await rm(path, { recursive: true, force: true });
    }
    return freed;
  });
}

/** Environment of the Go command: nothing it writes lies outside the cache, unless the user has said where. */
export function goEnvironment(home: OrreryHome, environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const user = environment.HOME ?? homedir();
  const config = environment.XDG_CONFIG_HOME ?? join(user, ".config");
  return {
    ...environment,
    CGO_ENABLED: "0",
    GOFLAGS: "-mod=readonly -trimpath -buildvcs=false -modcacherw",
    GOWORK: "off",
    GOTOOLCHAIN: "local",
    GOPATH: join(home.go, "path"),
    GOCACHE: environment.GOCACHE || join(home.go, "build"),
    GOMODCACHE: environment.GOMODCACHE || join(home.go, "mod"),
    GOTMPDIR: join(home.go, "tmp"),
    // Go counts its own use below the configuration folder; the user's settings are still read from where they are.
    GOENV: environment.GOENV || join(config, "go", "env"),
    XDG_CONFIG_HOME: join(home.go, "config"),
  };
}

async function buildOne(context: GoContext, build: GoBuild, bin: string): Promise<void> {
  const env = goEnvironment(context.home, context.environment);
  if (build.cgo) env.CGO_ENABLED = "1";
  await mkdir(env.GOTMPDIR as string, { recursive: true });
  const options = { env, cwd: join(context.sources, build.module), signal: context.signal };
  const total = await countStale(context, build, options);
  const task = `build ${build.output}`;
  const eta = new Eta();
  let done = 0;
  context.progress.start(task, { total, unit: "packages" });
  try {
    const flags = [...tagsOf(build), "-ldflags", build.ldflags.join(" ")];
    const args = ["build", "-v", ...flags, "-o", join(bin, build.output), build.package];
    await run("go", args, {
      ...options,
      onLine: (line, stream) => {
        if (stream !== "stderr" || !/^[\w./-]+$/.test(line)) return;
        done = Math.min(done + 1, total);
        context.progress.update(task, { done, total, unit: "packages", etaMs: eta.left(done, total), detail: line });
      },
    });
  } catch (error) {
    context.progress.fail(task, (error as Error).message);
    context.signal?.throwIfAborted();
    throw buildFailure(build, error as Error);
  }
  for (const link of build.links ?? []) await symlink(build.output, join(bin, link));
  context.progress.done(task);
}

function tagsOf({ tags = [] }: GoBuild): string[] {
  return tags.length === 0 ? [] : ["-tags", tags.join(" ")];
}

/** How many packages are to be compiled; downloads the modules they are in, as far as they are missing. */
async function countStale(context: GoContext, build: GoBuild, options: ExecOptions): Promise<number> {
  const task = `Go modules of ${build.output}`;
  let done = 0;
  context.progress.start(task, { unit: "modules" });
  try {
    const args = ["list", "-deps", ...tagsOf(build), "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", build.package];
    const listed = await run("go", args, {
      ...options,
      onLine: (line) => {
        const module = /^go: downloading (\S+)/.exec(line)?.[1];
        if (module !== undefined) context.progress.update(task, { done: ++done, unit: "modules", detail: module });
      },
    });
    context.progress.done(task, done === 0 ? "all present" : `${done} downloaded`);
    return listed.split("\n").filter((line) => line !== "" && !line.startsWith("go: ")).length;
  } catch (error) {
    context.progress.fail(task, (error as Error).message);
    context.signal?.throwIfAborted();
    throw buildFailure(build, error as Error);
  }
}

/** Caches that are there have most of what is needed; those of the user are where the user wants them. */
async function requireBuildSpace({ home, environment }: GoContext): Promise<void> {
  const isCold = (await stat(join(home.go, "mod")).catch(() => undefined)) === undefined;
  await requireDiskSpace(home.cache, isCold && !environment.GOMODCACHE ? coldBuildBytes : minimumFreeBytes);
}

async function requireGo(context: GoContext, name: string, module: string, tried: readonly string[]): Promise<void> {
  const text = await readFile(join(module, "go.mod"), "utf8");
  const needed = /^go (\d+\.\d+(?:\.\d+)?)$/m.exec(text)?.[1];
  if (needed === undefined) throw new Error(`${join(module, "go.mod")} has no go line`);
  const probe = { program: "go", args: ["version"], pattern: /go(\d+\.\d+(?:\.\d+)?)/, accepted: { min: needed } };
  const environment = goEnvironment(context.home, context.environment);
  const found = await findOnPath({ version: needed, programs: ["go"], probe }, environment, context.signal);
  if (found.programs !== undefined) return;
  throw new EnvironmentError(
    `${name} cannot be had: ${tried.join("; ")}; and it cannot be built, because ${found.reason}.`,
    `Install Go ${needed} or later (https://go.dev/dl, or the package golang-go where it is new enough) and put it on PATH.`,
  );
}

async function requireC(context: GoContext, name: string, tried: readonly string[]): Promise<void> {
  const compiler = context.environment.CC || "gcc";
  const probe = { program: compiler, args: ["--version"], pattern: /(\d+\.\d+\.\d+)/, accepted: { min: "5.0.0" } };
  const spec = { version: "5", programs: [compiler], probe };
  const found = await findOnPath(spec, goEnvironment(context.home, context.environment), context.signal);
  if (found.programs !== undefined) return;
  throw new EnvironmentError(
    `${name} cannot be had: ${tried.join("; ")}; and it cannot be built, because ${found.reason}.`,
    "Install a C compiler with the static C library (packages gcc and libc6-dev; gcc and glibc-static on Fedora).",
  );
}

function buildFailure(build: GoBuild, error: Error): EnvironmentError {
  const offline = /dial tcp|no such host|i\/o timeout|connection refused|proxyconnect|TLS handshake/.test(
    error.message,
  );
  return new EnvironmentError(
    `${build.output} cannot be built: ${error.message}`,
    offline
      ? "Check that the Go module proxy can be reached (go env GOPROXY), then try again: what has come is kept."
      : "Check the messages above; what has been compiled is kept for the next attempt.",
    { cause: error },
  );
}

async function bytesIn(folder: string): Promise<number> {
  let bytes = 0;
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  });
  for (const entry of entries) if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  return bytes;
}
