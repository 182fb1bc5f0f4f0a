import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { cp, mkdir, readdir, readlink, realpath, stat, symlink } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { pipeline } from "node:stream/promises";
import type { OrreryHome } from "../local/toolchain/home.ts";
import { unpackPackages } from "../local/toolchain/packages.ts";
import { cargoBuild } from "./cargo.ts";
import { packagesImportedBy } from "./npm-packages.ts";
import { placeProject, projectFingerprint } from "./npm-project.ts";
import type { ImageName, ImagePart } from "./table.ts";

/** What the parts of images are found with. */
export interface PartContext {
  readonly home: OrreryHome;
  /** The project's root. */
  readonly root: string;
  /** Absolute path of a program of the toolchain. */
  readonly program: (name: string) => string;
  readonly signal: AbortSignal | undefined;
  /** Reference and archive of another image of the table; the archive is there when parts are placed. */
  readonly image: (name: ImageName) => Promise<{ readonly reference: string; readonly archive: string }>;
}

/** Files that take part in a Rust program's build. */
const rustSources = ["Cargo.toml", "Cargo.lock", "src", "build.rs"];

/** Left out of distribution packages. */
const documentation = ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian"];

/** Left out of copied packages: nothing that runs reads them. */
const notRun = /(\.d\.[cm]?ts|\.map|\.md|\.markdown)$|\/(test|tests|\.github)$/;

/** Left out of the project's own files, and no reason to build an image again. */
const notCopied = /\.(md|test\.ts)$/;

/** Tells whether a part has changed, without building it. */
export async function fingerprint(part: ImagePart, context: PartContext): Promise<string> {
  const { root } = context;
  switch (part.kind) {
    case "tool":
      return await hashTree(await realpath(context.program(part.program)));
    case "tools": {
      const hashes = await Promise.all(
        part.programs.map(async (name) => hashTree(await realpath(context.program(name)))),
      );
      return `${part.programs.join(" ")} ${hashes.join(" ")}`;
    }
    case "image":
      return (await context.image(part.image)).reference;
    case "files":
      return await hashTree(join(root, part.from));
    case "cargo": {
      const hashes = await Promise.all(rustSources.map((name) => hashTree(join(root, part.crate, name))));
      return hashes.join(" ");
    }
    case "npm": {
      const packages = await packagesImportedBy(root, part.importedBy);
      return packages.map(({ folder, version }) => `${folder}@${version}`).join(" ");
    }
    case "npm-project":
      return await projectFingerprint(part, root);
    case "node":
      return await hashTree(join(root, "node_modules/node/package.json")); // holds the version
    case "distribution":
      return [
        basename(dirname(await unpackPackages(context.home, part.packages, { signal: context.signal }))),
        ...(part.except ?? []),
      ].join(" ");
  }
}

/** Puts a part into the build context. */
export async function place(part: ImagePart, folder: string, context: PartContext): Promise<void> {
  const { root } = context;
  const to = join(folder, part.to);
  await mkdir(dirname(to), { recursive: true });
  switch (part.kind) {
    case "tool":
      return await cp(await realpath(context.program(part.program)), to);
    case "tools":
      return await placeTools(part.programs, to, context);
    case "image":
      return await cp((await context.image(part.image)).archive, to);
    case "files":
      return await cp(join(root, part.from), to, {
        recursive: true,
        verbatimSymlinks: true,
        filter: (path) => !notCopied.test(path),
      });
    case "cargo":
      return await cp(await cargoBuild(part.crate, part.program, context), to);
    case "npm":
      for (const { folder: from } of await packagesImportedBy(root, part.importedBy)) {
        const target = join(to, relative("node_modules", from));
        await cp(join(root, from), target, {
          recursive: true,
          filter: (path) => isPackageFile(join(root, from), path),
        });
      }
      return;
    case "npm-project":
      return await placeProject(part, to, context);
    case "node":
      return await cp(join(root, "node_modules/node/bin/node"), to);
    case "distribution": {
      const from = await unpackPackages(context.home, part.packages, { signal: context.signal });
      const skipped = [...documentation, ...(part.except ?? [])].map((name) => join(from, name));
      const filter = (path: string) => !skipped.includes(path);
      return await cp(from, to, { recursive: true, verbatimSymlinks: true, filter });
    }
  }
}

/** Copies each program once; further names of it become links to the first. */
async function placeTools(programs: readonly string[], folder: string, context: PartContext): Promise<void> {
  await mkdir(folder, { recursive: true });
  const first = new Map<string, string>();
  for (const name of programs) {
    const path = await realpath(context.program(name));
    const known = first.get(path);
    if (known === undefined) await cp(path, join(folder, name));
    else await symlink(known, join(folder, name));
    first.set(path, known ?? name);
  }
}

/** Packages inside a package are in the list themselves; the rest is copied but for what never runs. */
function isPackageFile(top: string, path: string): boolean {
  return path === top || (basename(path) !== "node_modules" && !notRun.test(path));
}

/** SHA-256 over the names, modes and contents of a file, or of what is copied of a folder; `none` where there is none. */
export async function hashTree(path: string): Promise<string> {
  const hash = createHash("sha256");
  const info = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (info === undefined) return "none";
  if (info.isFile()) {
    hash.update(`${info.mode & 0o111 ? "x" : "-"}\0`);
    await pipeline(createReadStream(path), hash, { end: false });
    return hash.digest("hex");
  }
  const entries = (await readdir(path, { withFileTypes: true })).filter(({ name }) => !notCopied.test(name));
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.isSymbolicLink()) hash.update(`${entry.name}\0link ${await readlink(join(path, entry.name))}\0`);
    else hash.update(`${entry.name}\0${await hashTree(join(path, entry.name))}\0`);
  }
  return hash.digest("hex");
}
