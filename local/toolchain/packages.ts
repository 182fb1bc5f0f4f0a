import { createHash } from "node:crypto";
import { chmod, lstat, mkdir, readdir, readFile, realpath, rm, stat, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { EnvironmentError } from "../../schema/errors.ts";
import { downloadPackages, hasApt, type PackageContext, unpackArchives } from "./apt.ts";
import { freshFolder, lookUp, type Manifest, seal } from "./cache.ts";
import { exec, run } from "./exec.ts";
import type { OrreryHome } from "./home.ts";
import { withLock } from "./lock.ts";
import { silentProgress } from "./progress.ts";
import type { PackageSet, ToolSpec } from "./tool-spec.ts";
import { aliasesFor, wrapperFor } from "./wrappers.ts";

const programFolders = ["usr/bin", "usr/sbin", "bin", "sbin"];
const unneeded = ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian"];

/**
 * Makes a tool from the distribution's packages without installing any: they are downloaded with apt's own checks,
 * unpacked into `<folder>/root`, and every program gets an entry in `<folder>/bin` that sets what it needs to run from
 * there. Each program is started once before the folder counts as complete.
 *
 * @throws EnvironmentError naming the packages where there is no apt, and what does not run where something does not
 */
export async function makeFromPackages(
  context: PackageContext,
  name: string,
  spec: ToolSpec,
  folder: string,
): Promise<Manifest> {
  const set = spec.packages;
  if (set === undefined) throw new Error(`${name} is in no package of a distribution`);
  if (!(await hasApt())) throw withoutApt(name, set);
  const archives = await downloadPackages(context, set.debian);
  await freshFolder(folder);
  const root = join(folder, "root");
  await mkdir(root);
  const task = `unpack ${name}`;
  context.progress.start(task);
  try {
    await unpackArchives(archives.own, root, { signal: context.signal });
    // Listed before what else is needed comes: the tool's programs are those of its own packages.
    const own = await programsIn(root, set.folder === undefined ? programFolders : [set.folder]);
    await unpackArchives(archives.needed, root, { signal: context.signal });
    for (const path of unneeded) await rm(join(root, path), { recursive: true, force: true });
    const programs = await linkPrograms(context, name, spec, folder, own);
    const version = await packageVersion(archives.own);
    const manifest = await seal(folder, {
      name,
      version,
      source: "package",
      verified: "signed package lists of the distribution",
      programs,
    });
    context.progress.done(task, version);
    return manifest;
  } catch (error) {
    context.progress.fail(task, (error as Error).message);
    throw error;
  }
}

/**
 * The files of exactly these Debian packages, without what they depend on, in a folder of the cache: the root of an
 * image. The same call again returns the same folder without work.
 *
 * @returns the folder
 */
export async function unpackPackages(
  home: OrreryHome,
  names: readonly string[],
  options: Partial<Omit<PackageContext, "home">> = {},
): Promise<string> {
  const context: PackageContext = { home, progress: options.progress ?? silentProgress, signal: options.signal };
  const sorted = [...new Set(names)].sort();
  const key = shortHash([packageList, await distribution(), process.arch, ...sorted]);
  const folder = join(home.sysroots, `sysroot-${key}`);
  const root = join(folder, "root");
  await home.prepare();
  return await withLock(
    join(home.locks, `sysroot-${key}`),
    async () => {
      if ((await lookUp(folder)).state === "intact") return root;
      if (!(await hasApt())) throw withoutApt("the base image", { debian: sorted, fedora: sorted });
      const { own } = await downloadPackages(context, sorted, { exact: true });
      await freshFolder(folder);
      await mkdir(root);
      await unpackArchives(own, root, { signal: context.signal, withCLibrary: true });
      await writeFile(join(folder, packageList), `${JSON.stringify(await describeArchives(own), null, 2)}\n`);
      const version = await packageVersion(own);
      const verified = "signed package lists of the distribution";
      await seal(folder, { name: sorted.join(" "), version, source: "package", verified, programs: {} });
      return root;
    },
    { signal: context.signal },
  );
}

/** Kept beside the files of {@link unpackPackages}. */
const packageList = "packages.json";

const packageListSchema = z.array(z.object({ name: z.string(), version: z.string() }));

/** Names and versions of the packages in a folder that {@link unpackPackages} returned. */
export async function unpackedPackages(root: string): Promise<z.output<typeof packageListSchema>> {
  return packageListSchema.parse(JSON.parse(await readFile(join(dirname(root), packageList), "utf8")));
}

async function describeArchives(archives: readonly string[]): Promise<z.output<typeof packageListSchema>> {
  const described = [];
  for (const archive of archives) {
    const [name = "", version = ""] = (await run("dpkg-deb", ["--show", archive])).trim().split("\t");
    described.push({ name, version });
  }
  return described.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Distribution and release, for example `debian 12`; packages of another release are other packages. */
export async function distribution(): Promise<string> {
  const text = await readFile("/etc/os-release", "utf8").catch(() => "");
  const field = (name: string) => new RegExp(`^${name}="?([^"\\n]*)"?$`, "m").exec(text)?.[1] ?? "unknown";
  return `${field("ID")} ${field("VERSION_ID")}`;
}

/** The first 12 hexadecimal digits of the SHA-256 over some words. */
export function shortHash(words: readonly string[]): string {
  return createHash("sha256").update(words.join("\0")).digest("hex").slice(0, 12);
}

async function linkPrograms(
  context: PackageContext,
  name: string,
  spec: ToolSpec,
  folder: string,
  own: readonly string[],
): Promise<Record<string, string>> {
  const root = join(folder, "root");
  const bin = join(folder, "bin");
  await mkdir(bin);
  const programs: Record<string, string> = {};
  const libraries = await libraryFolders(root);
  for (const path of own) {
    const program = basename(path);
    // Links of the package may lead out of it, to what only an installation makes.
    const target = await realpath(join(root, path)).catch(() => "");
    if (programs[program] !== undefined || !target.startsWith(`${await realpath(root)}/`)) continue;
    const wrapper = await wrapperFor({ tool: name, program, root, path, libraries });
    if (wrapper === undefined) await symlink(join("../root", path), join(bin, program));
    else await writeExecutable(join(bin, program), wrapper);
    programs[program] = join("bin", program);
  }
  for (const extra of await aliasesFor({ tool: name, root, libraries, signal: context.signal })) {
    await writeExecutable(join(bin, extra.program), extra.script);
    programs[extra.program] = join("bin", extra.program);
  }
  for (const program of spec.programs) {
    if (programs[program] === undefined) {
      throw new EnvironmentError(
        `The packages ${spec.packages?.debian.join(", ")} of this distribution do not hold the program ${program}.`,
        `Install a ${name} that has it and put it on PATH.`,
      );
    }
    await requireRuns(name, join(bin, program), spec);
  }
  return programs;
}

/** Starts a program once: what cannot be loaded or executed fails here, not in the middle of a cluster's start. */
async function requireRuns(tool: string, path: string, spec: ToolSpec): Promise<void> {
  const isProbed = spec.probe?.program === basename(path);
  const args = isProbed ? (spec.probe?.args ?? []) : ["--version"];
  const result = await exec(path, args, { timeoutMs: 10_000 });
  const output = `${result.stdout}\n${result.stderr}`;
  const loads = !/error while loading shared libraries|symbol lookup error|version .* not found/.test(output);
  // Many programs answer an option they do not know with a code of their own; 126 and 127 are the loader's and shell's.
  if (loads && result.code !== null && result.code !== 126 && result.code !== 127) {
    if (!isProbed || spec.probe?.pattern.test(output) === true) return;
  }
  throw new EnvironmentError(
    `${basename(path)} of the distribution's packages does not run here: ${output.trim() || `it ended with ${result.code}`}`,
    `Install ${tool} in the way this system wants it and put it on PATH: ${installHint(spec.packages)}`,
  );
}

async function programsIn(root: string, folders: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const folder of folders) {
    const names = await readdir(join(root, folder)).catch((error: NodeJS.ErrnoException): string[] => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
    found.push(...names.map((name) => join(folder, name)));
  }
  return found;
}

async function libraryFolders(root: string): Promise<string[]> {
  const triplet = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
  const folders: string[] = [];
  for (const path of [`usr/lib/${triplet}`, `lib/${triplet}`]) {
    const info = await stat(join(root, path)).catch(() => undefined);
    if (info?.isDirectory() === true) folders.push(join(root, path));
  }
  return folders;
}

async function packageVersion(archives: readonly string[]): Promise<string> {
  const versions: string[] = [];
  for (const archive of archives) versions.push((await run("dpkg-deb", ["-f", archive, "Version"])).trim());
  return [...new Set(versions)].join(" ");
}

async function writeExecutable(path: string, script: string): Promise<void> {
  // A program and an alias may share a name where a package brings a link of that name.
  if ((await lstat(path).catch(() => undefined)) !== undefined) await rm(path);
  await writeFile(path, script);
  await chmod(path, 0o755);
}

/** What to type to install a tool, for Debian and Fedora. */
export function installHint(set: PackageSet | undefined): string {
  if (set === undefined) return "see the tool's own documentation.";
  return `apt-get install ${set.debian.join(" ")} (Debian, Ubuntu) or dnf install ${set.fedora.join(" ")} (Fedora).`;
}

function withoutApt(name: string, set: PackageSet): EnvironmentError {
  return new EnvironmentError(
    `${name} is not on PATH, and this system has no apt-get and dpkg-deb to unpack it from packages.`,
    `Install it: ${installHint(set)}`,
  );
}
