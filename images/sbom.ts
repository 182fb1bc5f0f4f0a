import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Enums, Models, Serialize, Spec } from "@cyclonedx/cyclonedx-library";
import { PackageURL } from "packageurl-js";
import { z } from "zod";
import { exec, run } from "../local/toolchain/exec.ts";
import type { OrreryHome } from "../local/toolchain/home.ts";
import { distribution, unpackedPackages, unpackPackages } from "../local/toolchain/packages.ts";
import { locateTool } from "../local/toolchain/toolchain.ts";
import { type ToolName, tools } from "../local/toolchain/versions.ts";
import { EnvironmentError } from "../schema/errors.ts";
import type { BuiltImage } from "./build.ts";
import { packagesImportedBy } from "./npm-packages.ts";
import { type ImageName, type ImagePart, type ImageSpec, images } from "./table.ts";

/** One thing an image holds that has a version of its own. */
interface Ingredient {
  /** Type of its package URL (https://github.com/package-url/purl-spec). */
  readonly type: "deb" | "npm" | "cargo" | "golang" | "generic";
  readonly namespace?: string;
  readonly name: string;
  readonly version: string;
  /** SPDX expression, where its own files say so. */
  readonly license?: string;
}

interface SbomContext {
  readonly home: OrreryHome;
  /** The project's root. */
  readonly root: string;
  readonly signal: AbortSignal | undefined;
}

/**
 * What an image that has been built is made of, as a CycloneDX 1.6 document: packages of the distribution, npm packages,
 * crates, Go modules as they are linked into programs, and the Node.js binary. The same image gives the same text.
 *
 * @throws EnvironmentError when the tool that lists one kind of them, `go` or `cargo`, is not there
 */
export async function softwareBill(image: BuiltImage, context: SbomContext): Promise<string> {
  const ingredients = new Map<string, Ingredient>();
  for (const one of await ingredientsOf(image.name, context)) ingredients.set(purlOf(one), one);
  const bill = new Models.Bom();
  const tag = image.reference.slice(image.reference.lastIndexOf(":") + 1);
  bill.metadata.component = new Models.Component(Enums.ComponentType.Container, image.name, {
    version: tag,
    bomRef: image.reference,
    description: images[image.name].description,
  });
  for (const [purl, { name, namespace, version, license }] of ingredients) {
    const component = new Models.Component(Enums.ComponentType.Library, name, { version, purl, bomRef: purl });
    if (namespace !== undefined) component.group = namespace;
    if (license !== undefined) component.licenses.add(new Models.LicenseExpression(license));
    bill.components.add(component);
    bill.metadata.component.dependencies.add(component.bomRef);
  }
  const serializer = new Serialize.JsonSerializer(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6));
  return `${serializer.serialize(bill, { sortLists: true, space: 2 })}\n`;
}

function purlOf({ type, namespace, name, version }: Ingredient): string {
  return new PackageURL(type, namespace, name, version, undefined, undefined).toString();
}

async function ingredientsOf(name: ImageName, context: SbomContext): Promise<Ingredient[]> {
  const spec: ImageSpec = images[name];
  const lists = [];
  for (const part of spec.parts) lists.push(await partIngredients(part, context));
  if (spec.base !== undefined) lists.push(await ingredientsOf(spec.base as ImageName, context));
  return lists.flat();
}

async function partIngredients(part: ImagePart, context: SbomContext): Promise<Ingredient[]> {
  switch (part.kind) {
    case "files":
      return [];
    case "image":
      return await ingredientsOf(part.image, context);
    case "tool":
      return await programIngredients(part.program, context);
    case "tools":
      return (await Promise.all(part.programs.map((program) => programIngredients(program, context)))).flat();
    case "cargo":
      return await crates(join(context.root, part.crate, "Cargo.toml"), context);
    case "npm":
      return await importedPackages(part.importedBy, context);
    case "npm-project":
      return await lockedPackages(join(context.root, part.project, "package-lock.json"));
    case "node":
      return [
        { type: "generic", name: "node", version: await installedVersion(join(context.root, "node_modules/node")) },
      ];
    case "distribution": {
      const folder = await unpackPackages(context.home, part.packages, { signal: context.signal });
      return await debianPackages(await unpackedPackages(folder));
    }
  }
}

async function debianPackages(packages: readonly { name: string; version: string }[]): Promise<Ingredient[]> {
  const [namespace = "debian"] = (await distribution()).split(" ");
  return packages.map(({ name, version }) => ({ type: "deb", namespace, name, version }));
}

async function importedPackages(importedBy: readonly string[], { root }: SbomContext): Promise<Ingredient[]> {
  const packages = await packagesImportedBy(root, importedBy);
  return await Promise.all(
    packages.map(async ({ name, version, folder }) => {
      const { license } = manifestSchema.parse(JSON.parse(await readFile(join(root, folder, "package.json"), "utf8")));
      return npmIngredient(name, version, license);
    }),
  );
}

/** What a lock file installs, without what is for development only. */
async function lockedPackages(file: string): Promise<Ingredient[]> {
  const { packages } = lockSchema.parse(JSON.parse(await readFile(file, "utf8")));
  return Object.entries(packages).flatMap(([path, { version, license, dev }]) => {
    const name = path.split("node_modules/").at(-1);
    return path === "" || name === undefined || version === undefined || dev === true
      ? []
      : [npmIngredient(name, version, license)];
  });
}

function npmIngredient(full: string, version: string, license: string | undefined): Ingredient {
  const [, namespace, name = full] = /^(@[^/]+)\/(.+)$/.exec(full) ?? [];
  return {
    type: "npm",
    name,
    version,
    ...(namespace === undefined ? {} : { namespace }),
    ...(license === undefined ? {} : { license }),
  };
}

/** Older packages write licenses in other forms; those say nothing here. */
const licenseSchema = z.string().optional().catch(undefined);
const manifestSchema = z.object({ version: z.string(), license: licenseSchema });
const lockSchema = z.object({
  packages: z.record(
    z.string(),
    z.object({ version: z.string().optional(), license: licenseSchema, dev: z.boolean().optional() }),
  ),
});

async function installedVersion(folder: string): Promise<string> {
  return manifestSchema.parse(JSON.parse(await readFile(join(folder, "package.json"), "utf8"))).version;
}

/** Every crate that is linked into a crate's programs: no tests, no build scripts. */
async function crates(manifest: string, { signal }: SbomContext): Promise<Ingredient[]> {
  const shape = ["--edges", "normal", "--prefix", "none", "--no-dedupe", "--format", "{p}|{l}"];
  const text = await listed("cargo", ["tree", "--locked", "--manifest-path", manifest, ...shape], signal);
  return text.split("\n").flatMap((line): Ingredient[] => {
    const [, name, version, license] = /^(\S+) v(\S+)(?: \(.*\))?\|(.*)$/.exec(line) ?? [];
    if (name === undefined || version === undefined) return [];
    return [{ type: "cargo", name, version, ...(license ? { license: license.replaceAll("/", " OR ") } : {}) }];
  });
}

/** A Go program says itself which modules are in it; of others only the version is known. */
async function programIngredients(program: string, context: SbomContext): Promise<Ingredient[]> {
  const name = (Object.keys(tools) as ToolName[]).find((tool) => tools[tool].programs.some((own) => own === program));
  const entry = name === undefined ? undefined : await locateTool(context.home, name, { signal: context.signal });
  const path = entry?.programs[program];
  if (entry === undefined || path === undefined) {
    throw new EnvironmentError(`The program ${program} is not there yet.`, "`npx orrery images build` makes it.");
  }
  if (entry.origin === "package") return [{ type: "generic", name: entry.name, version: entry.version }];
  const text = await listed("go", ["version", "-m", path], context.signal);
  return [{ type: "generic", name: program, version: entry.version }, ...goModules(text)];
}

/** Modules of the output of `go version -m`; one that stands in for another is the one that is in the program. */
export function goModules(text: string): Ingredient[] {
  const modules: Ingredient[] = [];
  for (const line of text.split("\n")) {
    const [, kind = "", path = "", version = ""] = line.split("\t");
    const cut = path.lastIndexOf("/");
    const module: Ingredient = {
      type: "golang",
      ...(cut < 0 ? {} : { namespace: path.slice(0, cut) }),
      name: path.slice(cut + 1),
      version,
    };
    if (kind === "=>") modules.pop();
    if (kind === "dep" || kind === "=>") modules.push(module);
    const [, go] = /: go(\d\S*)$/.exec(line) ?? [];
    if (go !== undefined) modules.push({ type: "golang", name: "stdlib", version: `v${go}` });
  }
  return modules;
}

async function listed(file: string, args: readonly string[], signal: AbortSignal | undefined): Promise<string> {
  const missing = await exec(file, ["version"], { signal }).then(
    () => undefined,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return error;
      throw error;
    },
  );
  if (missing !== undefined) {
    throw new EnvironmentError(`${file} is not on PATH.`, "Install it: it tells what is linked into programs.", {
      cause: missing,
    });
  }
  return await run(file, args, { signal });
}
