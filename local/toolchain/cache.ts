import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { z } from "zod";

/** Where a tool came from. */
export type ToolSource = "cache" | "path" | "release" | "build" | "package";

/** What a folder of the cache holds; its presence is what makes the folder complete. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly source: "release" | "build" | "package";
  /** How the content was verified when it came in, for example `sha256 pinned` or `go.sum`. */
  readonly verified: string;
  /** Programs by name: path relative to the folder. */
  readonly programs: Readonly<Record<string, string>>;
  /** Regular files by path relative to the folder. */
  readonly files: Readonly<Record<string, FileRecord>>;
}

/** Digest of a file and what the file system said of it when it was taken. */
export interface FileRecord {
  readonly sha256: string;
  /** Size, modification, change time and inode: while they stand, the content is what was hashed. */
  readonly stamp: string;
}

const manifestFile = "orrery-tool.json";
const manifestSchema = z.object({
  name: z.string(),
  version: z.string(),
  source: z.enum(["release", "build", "package"]),
  verified: z.string(),
  programs: z.record(z.string(), z.string()),
  files: z.record(z.string(), z.object({ sha256: z.string(), stamp: z.string() })),
});

/** What looking a folder up gave. */
export type Lookup =
  | { readonly state: "absent" }
  | { readonly state: "corrupt"; readonly reason: string }
  | { readonly state: "intact"; readonly manifest: Manifest };

/** Reads a folder of the cache and checks every file of it against its digest; unchanged ones by their stamp alone. */
export async function lookUp(folder: string, options: { readonly readOnly?: boolean } = {}): Promise<Lookup> {
  const path = join(folder, manifestFile);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { state: "absent" };
    throw error;
  }
  const manifest = parseManifest(text);
  if (manifest === undefined) return { state: "corrupt", reason: `${path} cannot be read` };
  const renewed: Record<string, FileRecord> = {};
  for (const [file, record] of Object.entries(manifest.files)) {
    const stamp = await stampOf(join(folder, file));
    if (stamp === undefined) return { state: "corrupt", reason: `${join(folder, file)} is missing` };
    if (stamp === record.stamp) continue;
    const sha256 = await sha256Of(join(folder, file));
    if (sha256 !== record.sha256) {
      return { state: "corrupt", reason: `${join(folder, file)} has SHA-256 ${sha256}, not ${record.sha256}` };
    }
    renewed[file] = { sha256, stamp };
  }
  if (Object.keys(renewed).length > 0 && options.readOnly !== true) {
    await writeManifest(folder, { ...manifest, files: { ...manifest.files, ...renewed } });
  }
  return { state: "intact", manifest };
}

/** Hashes what is in the folder and writes the manifest: from then on the folder is complete. */
export async function seal(folder: string, content: Omit<Manifest, "files">): Promise<Manifest> {
  const files: Record<string, FileRecord> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name === manifestFile) continue;
    const path = join(entry.parentPath, entry.name);
    const stamp = await stampOf(path);
    if (stamp === undefined) throw new Error(`${path} vanished while it was put into the cache`);
    files[relative(folder, path)] = { sha256: await sha256Of(path), stamp };
  }
  const manifest = { ...content, files };
  await writeManifest(folder, manifest);
  return manifest;
}

/** Empties and makes a folder that {@link seal} will complete. */
export async function freshFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
}

/** The SHA-256 of a file, in hexadecimal. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

function parseManifest(text: string): Manifest | undefined {
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw error;
  }
}

async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const path = join(folder, manifestFile);
  const own = `${path}.${process.pid}`;
  await writeFile(own, `${JSON.stringify(manifest, undefined, 1)}\n`);
  await rename(own, path);
}

async function stampOf(path: string): Promise<string | undefined> {
  try {
    const info = await lstat(path, { bigint: true });
    return `${info.size}:${info.mtimeNs}:${info.ctimeNs}:${info.ino}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
