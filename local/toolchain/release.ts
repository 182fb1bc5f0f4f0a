import { createHash } from "node:crypto";
import { chmod, copyFile, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { EnvironmentError } from "../../schema/errors.ts";
import { freshFolder, type Manifest, seal } from "./cache.ts";
import { download } from "./download.ts";
import { exec, run } from "./exec.ts";
import type { OrreryHome } from "./home.ts";
import { get, NetworkError, unreachable } from "./network.ts";
import type { Progress } from "./progress.ts";
import type { Platform, ReleaseFile, ToolSpec, ToolTable } from "./tool-spec.ts";

/** What making a tool from its release needs to know. */
export interface ReleaseContext {
  readonly home: OrreryHome;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
  readonly table: ToolTable;
  readonly platform: Platform;
}

/** The official release cannot be had from here; the next source is to be tried. */
export class ReleaseUnavailable extends Error {
  constructor(reason: string, options?: ErrorOptions) {
    super(`no official release: ${reason}`, options);
    this.name = "ReleaseUnavailable";
  }
}

/**
 * Makes a tool from its official release: every file is checked against its pinned digest, or else against the one
 * that upstream publishes beside it. The manifest says which of the two it was.
 *
 * @throws ReleaseUnavailable when there is none for this platform or the network does not let it through
 * @throws EnvironmentError when a file is not what upstream announced
 */
export async function makeFromRelease(
  context: ReleaseContext,
  name: string,
  spec: ToolSpec,
  folder: string,
): Promise<Manifest> {
  const files = spec.release ?? [];
  await requireReachable(context, files);
  const work = join(context.home.downloads, name);
  await mkdir(work, { recursive: true });
  try {
    const fetched: { file: ReleaseFile; path: string; how: string }[] = [];
    for (const file of files) fetched.push(await fetchFile(context, file, work));
    await freshFolder(folder);
    await mkdir(join(folder, "bin"));
    for (const { file, path } of fetched) await place(file, path, join(folder, "bin"), context.signal);
    await requireVersion(name, spec, join(folder, "bin"));
    const programs = Object.fromEntries(spec.programs.map((program) => [program, join("bin", program)]));
    const verified = [...new Set(fetched.map(({ how }) => how))].join(", ");
    const manifest = await seal(folder, { name, version: spec.version, source: "release", verified, programs });
    await rm(work, { recursive: true });
    return manifest;
  } catch (error) {
    if (error instanceof NetworkError) throw new ReleaseUnavailable(error.message, { cause: error });
    throw error;
  }
}

/** Starts the program that tells the version and compares: a file may be what was announced and still not run here. */
export async function requireVersion(name: string, spec: ToolSpec, bin: string): Promise<void> {
  if (spec.probe === undefined) return;
  const result = await exec(join(bin, spec.probe.program), spec.probe.args, { timeoutMs: 20_000 });
  const output = `${result.stdout}\n${result.stderr}`;
  const version = spec.probe.pattern.exec(output)?.[1];
  if (version === spec.version) return;
  throw new EnvironmentError(
    `The ${name} that was made does not answer as version ${spec.version} but: ${output.trim().slice(0, 500)}`,
    "Check that this machine can execute programs of its architecture from the cache folder (noexec mount, foreign architecture).",
  );
}

/**
 * Finds the digest of a file in what upstream publishes.
 *
 * @param text One bare digest, lines of `digest  name`, or GitHub's description of a release
 */
export function publishedDigest(text: string, file: string): string | undefined {
  if (text.trimStart().startsWith("{")) {
    const release = JSON.parse(text) as { assets?: { name?: string; digest?: string | null }[] };
    return release.assets?.find((asset) => asset.name === file)?.digest?.match(/^sha256:([0-9a-f]{64})$/)?.[1];
  }
  const lines = text
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/));
  const named = lines.find((words) => words[1] !== undefined && basename(words[1].replace(/^\*/, "")) === file);
  const digest = named?.[0] ?? (lines.length === 1 && lines[0]?.length === 1 ? lines[0][0] : undefined);
  return digest !== undefined && /^[0-9a-f]{64}$/.test(digest) ? digest : undefined;
}

async function requireReachable(context: ReleaseContext, files: readonly ReleaseFile[]): Promise<void> {
  const originsOf = (all: readonly ReleaseFile[]) =>
    all.flatMap((file) => {
      const url = file.url(context.platform);
      return url === undefined ? [] : [new URL(url).origin, new URL(file.checksums(context.platform)).origin];
    });
  if (files.some((file) => file.url(context.platform) === undefined)) {
    throw new ReleaseUnavailable(`upstream publishes none for ${context.platform}`);
  }
  // All hosts of the table are asked at the same time, so that being offline costs one time-out and not one per host.
  const everything = Object.values(context.table).flatMap((spec) => spec.release ?? []);
  const answers = new Map<string, string | undefined>();
  await Promise.all(
    [...new Set([...originsOf(everything), ...originsOf(files)])].map(async (origin) => {
      answers.set(origin, await unreachable(origin));
    }),
  );
  for (const origin of originsOf(files)) {
    const reason = answers.get(origin);
    if (reason !== undefined) throw new ReleaseUnavailable(reason);
  }
}

async function fetchFile(
  context: ReleaseContext,
  file: ReleaseFile,
  work: string,
): Promise<{ file: ReleaseFile; path: string; how: string }> {
  const url = file.url(context.platform) as string;
  const pinned = file.sha256?.[context.platform];
  const sha256 = pinned ?? (await fetchDigest(context, file, url));
  const name = `${createHash("sha256").update(url).digest("hex").slice(0, 8)}-${basename(new URL(url).pathname)}`;
  const path = join(work, name);
  await download({ url, path, sha256, progress: context.progress, signal: context.signal });
  return { file, path, how: pinned === undefined ? "sha256 published by upstream" : "sha256 pinned" };
}

async function fetchDigest(context: ReleaseContext, file: ReleaseFile, url: string): Promise<string> {
  const address = file.checksums(context.platform);
  const response = await get(address, { accept: "*/*", "user-agent": "orrery" }, context.signal);
  const text = await response.text();
  if (response.status !== 200) throw new NetworkError(`${address} answers ${response.status} ${response.statusText}`);
  const digest = publishedDigest(text, basename(new URL(url).pathname));
  if (digest === undefined) throw new NetworkError(`${address} holds no SHA-256 of ${basename(url)}`);
  return digest;
}

async function place(file: ReleaseFile, path: string, bin: string, signal: AbortSignal | undefined): Promise<void> {
  if (file.content.kind === "file") {
    await copyFile(path, join(bin, file.content.program));
    await chmod(join(bin, file.content.program), 0o755);
    return;
  }
  const unpacked = await mkdtemp(join(bin, ".unpack-"));
  const members = Object.values(file.content.programs);
  await run("tar", ["-xzf", path, "-C", unpacked, ...members], { signal });
  for (const [program, member] of Object.entries(file.content.programs)) {
    await rename(join(unpacked, member), join(bin, program));
    await chmod(join(bin, program), 0o755);
  }
  await rm(unpacked, { recursive: true });
}
