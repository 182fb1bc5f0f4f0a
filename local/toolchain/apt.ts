import { createHash } from "node:crypto";
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EnvironmentError } from "../../schema/errors.ts";
import { exec, run } from "./exec.ts";
import type { OrreryHome } from "./home.ts";
import { withLock } from "./lock.ts";
import type { Progress } from "./progress.ts";

/** What package work needs to know. */
export interface PackageContext {
  readonly home: OrreryHome;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** Package lists older than this are fetched anew. */
const listsMaxAgeMs = 24 * 3_600_000;
/** Hooks that the system may have configured act on the system's folders, so none of them may run. */
const hooks = [
  "APT::Update::Pre-Invoke",
  "APT::Update::Post-Invoke",
  "APT::Update::Post-Invoke-Success",
  "DPkg::Pre-Invoke",
  "DPkg::Post-Invoke",
  "DPkg::Pre-Install-Pkgs",
];
/** The C library has to match the loader of this system, so the system's own is always used. */
const neverUnpacked = /^(libc6|libc-bin|libc6-dev|locales)_/;

/** Whether this system has the Debian package tools. */
export async function hasApt(): Promise<boolean> {
  try {
    return (await exec("apt-get", ["--version"])).code === 0 && (await exec("dpkg-deb", ["--version"])).code === 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/**
 * The configuration of a package manager whose every written file lies in `root`: lists, archives, logs, locks and a
 * copy of the status of installed packages. Read after the system's own, whose sources, keys and proxies it keeps.
 *
 * @param indexTargets Extra indexes (icons, file lists) the system would download and we have no use for
 */
export function aptConfiguration(root: string, indexTargets: readonly string[]): string {
  return [
    ...hooks.map((hook) => `#clear ${hook};`),
    `Dir::State "${root}/state";`,
    `Dir::State::lists "lists";`,
    // apt locks the folder of the status file, which thereby is ours too.
    `Dir::State::status "${root}/state/status";`,
    `Dir::State::extended_states "${root}/state/extended_states";`,
    `Dir::Cache "${root}/cache";`,
    `Dir::Cache::archives "archives";`,
    `Dir::Cache::pkgcache "pkgcache.bin";`,
    `Dir::Cache::srcpkgcache "srcpkgcache.bin";`,
    `Dir::Log "${root}/log";`,
    // apt's download user cannot enter a home folder; the signatures are what is relied on.
    `APT::Sandbox::User "root";`,
    `APT::Update::Error-Mode "any";`,
    `Acquire::Languages "none";`,
    `Acquire::Retries "2";`,
    `Acquire::http::Timeout "15";`,
    `Acquire::https::Timeout "15";`,
    ...indexTargets.map((target) => `Acquire::IndexTargets::deb::${target}::DefaultEnabled "false";`),
    "",
  ].join("\n");
}

/**
 * Downloads packages and, unless `exact`, what they need that this system does not have. Nothing is installed.
 *
 * @returns the archives: `own` of the named packages, `needed` of the others
 * @throws EnvironmentError when they cannot be had
 */
export async function downloadPackages(
  context: PackageContext,
  names: readonly string[],
  options: { readonly exact?: boolean } = {},
): Promise<{ own: string[]; needed: string[] }> {
  const { home, progress, signal } = context;
  const onWait = (pid: number) => progress.note(`waiting for process ${pid}, which is downloading packages`);
  return await withLock(
    join(home.locks, "apt"),
    async () => {
      const config = await prepareApt(home);
      const updated = await updateLists(context, config);
      try {
        return await fetchArchives(context, config, names, options.exact === true);
      } catch (error) {
        signal?.throwIfAborted();
        if (updated) throw unavailable(names, error);
        await rm(join(home.apt, "updated"), { force: true });
        await updateLists(context, config);
        return await fetchArchives(context, config, names, options.exact === true).catch((again: unknown) => {
          signal?.throwIfAborted();
          throw unavailable(names, again);
        });
      }
    },
    { signal, onWait },
  );
}

/** Removes the downloaded archives; the lists stay. */
export async function removeArchives(home: OrreryHome): Promise<void> {
  await withLock(join(home.locks, "apt"), () => rm(join(home.apt, "cache"), { recursive: true, force: true }));
}

/** Unpacks archives into a folder, all but the C library. */
export async function unpackArchives(
  archives: readonly string[],
  folder: string,
  options: { readonly signal?: AbortSignal | undefined; readonly withCLibrary?: boolean } = {},
): Promise<void> {
  for (const archive of archives) {
    const name = archive.slice(archive.lastIndexOf("/") + 1);
    if (options.withCLibrary !== true && neverUnpacked.test(name)) continue;
    await run("dpkg-deb", ["-x", archive, folder], { signal: options.signal });
  }
}

async function prepareApt(home: OrreryHome): Promise<string> {
  for (const folder of ["state/lists/partial", "cache/archives/partial", "cache/nothing/partial", "log"]) {
    await mkdir(join(home.apt, folder), { recursive: true });
  }
  await copyFile("/var/lib/dpkg/status", join(home.apt, "state/status"));
  const dump = await run("apt-config", ["dump", "--format", "%F%n", "Acquire::IndexTargets::deb"]);
  const targets = new Set<string>();
  for (const line of dump.split("\n")) {
    const target = line.split("::")[3];
    if (target !== undefined && target !== "" && target !== "Packages" && target !== "Translations")
      targets.add(target);
  }
  const config = join(home.apt, "apt.conf");
  await writeFile(config, aptConfiguration(home.apt, [...targets]));
  return config;
}

/** @returns whether the lists are fresh from the network now */
async function updateLists({ home, progress, signal }: PackageContext, config: string): Promise<boolean> {
  const marker = join(home.apt, "updated");
  const sources = await sourcesDigest();
  const age = await stat(marker).catch(() => undefined);
  const recorded = age === undefined ? "" : await readFile(marker, "utf8");
  if (age !== undefined && recorded === sources && Date.now() - age.mtimeMs < listsMaxAgeMs) return false;
  const task = "package lists";
  progress.start(task);
  try {
    await run("apt-get", ["-c", config, "-q", "update"], { env: aptEnvironment(), signal });
  } catch (error) {
    const reason = (error as Error).message;
    progress.fail(task, reason);
    signal?.throwIfAborted();
    if (recorded === sources) return true;
    throw new EnvironmentError(
      `The lists of the distribution's packages cannot be fetched: ${reason}`,
      "Check that `apt-get update` works on this machine (network, proxy, sources), then try again.",
      { cause: error },
    );
  }
  await writeFile(marker, sources);
  progress.done(task);
  return true;
}

async function fetchArchives(
  { home, progress, signal }: PackageContext,
  config: string,
  names: readonly string[],
  exact: boolean,
): Promise<{ own: string[]; needed: string[] }> {
  const archives = join(home.apt, "cache/archives");
  const options = { env: aptEnvironment(), signal, cwd: archives };
  // Plans are made against an empty folder, since apt leaves out of a plan what it has downloaded already.
  const nothing = join(home.apt, "cache/nothing");
  const planning = { env: aptEnvironment(), signal, cwd: nothing };
  const empty = ["-o", `Dir::Cache::archives=${nothing}`, "--print-uris"];
  const install = ["-c", config, "-q", "-y", "--no-install-recommends"];
  const direct = ["-c", config, "-q"];
  let uris: string[] = [];
  let command = [...direct, "download", ...names];
  if (!exact) {
    const planned = await exec("apt-get", [...install, ...empty, "install", ...names], planning);
    uris = planned.code === 0 ? fileNames(planned.stdout) : [];
    // Packages that conflict with installed ones, or are installed already, are fetched without what they need.
    const complete = names.every((name) => uris.some((file) => packageOf(file) === name));
    if (complete) command = [...install, "--download-only", "install", ...names];
    else uris = [];
  }
  if (uris.length === 0) uris = fileNames(await run("apt-get", [...direct, ...empty, "download", ...names], planning));
  const task = `packages ${names.join(", ")}`;
  const size = { total: uris.length, unit: "packages" } as const;
  progress.start(task, size);
  let done = 0;
  try {
    await run("apt-get", command, {
      ...options,
      onLine: (line) => {
        if (line.startsWith("Get:")) progress.update(task, { ...size, done: ++done, detail: line });
      },
    });
  } catch (error) {
    progress.fail(task, (error as Error).message);
    throw error;
  }
  progress.done(task, `${uris.length} packages`);
  const present = new Set(await readdir(archives));
  const missing = uris.filter((file) => !present.has(file));
  if (missing.length > 0) throw new Error(`apt-get reported success but did not leave ${missing.join(", ")}`);
  const isOwn = (file: string) => names.includes(packageOf(file));
  return {
    own: uris.filter(isOwn).map((file) => join(archives, file)),
    needed: uris.filter((file) => !isOwn(file)).map((file) => join(archives, file)),
  };
}

/** File names out of `--print-uris` lines: `'address' name size digest`. */
export function fileNames(printed: string): string[] {
  return [...printed.matchAll(/^'[^']*' (\S+\.deb) \d+/gm)].map((match) => match[1] as string);
}

function packageOf(file: string): string {
  return file.slice(0, file.indexOf("_"));
}

function aptEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
}

async function sourcesDigest(): Promise<string> {
  const hash = createHash("sha256");
  const folder = "/etc/apt/sources.list.d";
  const names = await readdir(folder).catch(() => []);
  for (const file of ["/etc/apt/sources.list", ...names.sort().map((name) => join(folder, name))]) {
    hash.update(await readFile(file, "utf8").catch(() => ""));
  }
  return hash.digest("hex");
}

function unavailable(names: readonly string[], cause: unknown): EnvironmentError {
  return new EnvironmentError(
    `The packages ${names.join(", ")} cannot be downloaded: ${(cause as Error).message}`,
    `Check that the distribution offers them (apt-cache policy ${names.join(" ")}), or install them yourself.`,
    { cause },
  );
}
