import { readdir, readFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { dirname, join, relative } from "node:path";
import { z } from "zod";

/** One installed package. */
export interface InstalledPackage {
  readonly name: string;
  readonly version: string;
  /** Its folder, relative to the project's root, e.g. `node_modules/hono`. */
  readonly folder: string;
}

const manifestSchema = z.object({
  name: z.string(),
  version: z.string(),
  dependencies: z.record(z.string(), z.string()).default({}),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
});

/**
 * The installed packages that TypeScript files below some folders import, with everything those depend on: exactly
 * what the project's lockfile installed, so the image runs the versions that were tested.
 *
 * @param root The project's root.
 * @throws Error naming a package that is imported but not installed
 */
export async function packagesImportedBy(root: string, folders: readonly string[]): Promise<InstalledPackage[]> {
  const found = new Map<string, InstalledPackage>();
  for (const folder of folders) {
    for (const name of await importedPackages(join(root, folder))) await add(root, root, name, false, found);
  }
  return [...found.values()].sort((a, b) => (a.folder < b.folder ? -1 : 1));
}

async function add(
  root: string,
  from: string,
  name: string,
  optional: boolean,
  found: Map<string, InstalledPackage>,
): Promise<void> {
  const folder = await locate(root, from, name);
  if (folder === undefined) {
    if (optional) return;
    throw new Error(
      `The package ${name}, which ${relative(root, from) || "the project"} needs, is not installed. Run \`npm ci\`.`,
    );
  }
  if (found.has(folder)) return;
  const manifest = manifestSchema.parse(JSON.parse(await readFile(join(folder, "package.json"), "utf8")));
  found.set(folder, { name: manifest.name, version: manifest.version, folder: relative(root, folder) });
  for (const needed of Object.keys(manifest.dependencies)) {
    await add(root, folder, needed, needed in manifest.optionalDependencies, found);
  }
}

/** Node's own rule: the nearest `node_modules` at or above the importing package that holds the name. */
async function locate(root: string, from: string, name: string): Promise<string | undefined> {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, "node_modules", name);
    const there = await readFile(join(candidate, "package.json"), "utf8").then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT" || error.code === "ENOTDIR") return false;
        throw error;
      },
    );
    if (there) return candidate;
    if (folder === root) return undefined;
  }
}

/** Names of the packages that the TypeScript files below a folder import; types alone do not count. */
export async function importedPackages(folder: string): Promise<Set<string>> {
  const names = new Set<string>();
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile() || !entry.name.endsWith(".ts") || entry.name.endsWith(".test.ts")) continue;
    const text = await readFile(join(entry.parentPath, entry.name), "utf8");
    for (const name of packageNames(text)) names.add(name);
  }
  return names;
}

/** Packages named by the import and export statements of a TypeScript text. */
export function packageNames(text: string): string[] {
  const statements = text.matchAll(
    /^\s*(?:import|export)\s(?!type\s)[^;]*?from\s+"([^"]+)"|^import\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm,
  );
  const specifiers = [...statements].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
  return specifiers
    .filter((specifier) => !specifier.startsWith(".") && !isBuiltin(specifier))
    .map((specifier) =>
      specifier
        .split("/")
        .slice(0, specifier.startsWith("@") ? 2 : 1)
        .join("/"),
    );
}
