import { createHash } from "node:crypto";
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ImageArchive } from "../local/cluster/images.ts";
import { takesOverlay } from "../local/cluster/traits.ts";
import { exec, run } from "../local/toolchain/exec.ts";
import type { OrreryHome } from "../local/toolchain/home.ts";
import { withLock } from "../local/toolchain/lock.ts";
import { type Progress, silentProgress } from "../local/toolchain/progress.ts";
import { locateTool } from "../local/toolchain/toolchain.ts";
import { type ToolName, tools } from "../local/toolchain/versions.ts";
import { EnvironmentError } from "../schema/errors.ts";
import { requireRust } from "./cargo.ts";
import { fingerprint, type PartContext, place } from "./parts.ts";
import { type ImageName, type ImageSpec, images, isImageName, pulledImages } from "./table.ts";

/** An image that has been built. */
export interface BuiltImage extends ImageArchive {
  /** Its name in the table. */
  readonly name: ImageName;
}

/** Settings of {@link buildImages}. */
export interface BuildOptions {
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface BuildContext extends PartContext {
  readonly buildah: string;
  readonly driver: "overlay" | "vfs";
  readonly progress: Progress;
}

const toolNames = Object.keys(tools) as ToolName[];
const here = dirname(fileURLToPath(import.meta.url));

/**
 * Builds the images of the given names that are not there yet. An image's tag is made of everything that goes into it,
 * so the same tag is the same content and nothing is built twice.
 *
 * @param tools The toolchain, with buildah and what {@link toolsIn} names.
 * @returns in the order of `names`, each with its reference and the archive that holds it
 * @throws EnvironmentError for a name that is not in the table, or a missing compiler
 */
export async function buildImages(
  home: OrreryHome,
  tools: { path(program: string): string },
  names: readonly string[],
  options: BuildOptions = {},
): Promise<BuiltImage[]> {
  const known = names.map(knownName);
  await mkdir(home.images, { recursive: true });
  const context: BuildContext = {
    home,
    root: dirname(here),
    program: (name) => tools.path(name),
    signal: options.signal,
    buildah: tools.path("buildah"),
    driver: (await takesOverlay(home.images)) ? "overlay" : "vfs",
    progress: options.progress ?? silentProgress,
    image: (name) => describe(name, context),
  };
  const built: BuiltImage[] = [];
  for (const name of known) {
    const spec: ImageSpec = images[name];
    for (const part of spec.parts) if (part.kind === "image") await ensure(part.image, context);
    built.push(await ensure(name, context));
  }
  return built;
}

async function ensure(name: ImageName, context: BuildContext): Promise<BuiltImage> {
  const image = await describe(name, context);
  if (await exists(image.archive)) return image;
  await withLock(lockOf(context.home), () => build(image, context), { signal: context.signal });
  return image;
}

/**
 * Asks for the compilers of those images of which no version has been built yet.
 *
 * @throws EnvironmentError for a name that is not in the table, or a missing compiler
 */
export async function requireCompilers(home: OrreryHome, names: readonly string[]): Promise<void> {
  const archives = await readdir(home.images).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  for (const name of names.map(knownName)) {
    if (archives.some((file) => file.startsWith(`${name}-`))) continue;
    const spec: ImageSpec = images[name];
    const crates = spec.parts.flatMap((part) => (part.kind === "cargo" ? [part.crate] : []));
    for (const crate of new Set(crates)) await requireRust(dirname(here), crate);
  }
}

/** The tools whose programs the images of these names hold; {@link buildImages} wants them besides buildah. */
export function toolsIn(names: readonly string[]): ToolName[] {
  const programs = names.map(knownName).flatMap(programsIn);
  return toolNames.filter((tool) => tools[tool].programs.some((program) => programs.some((held) => held === program)));
}

function programsIn(name: ImageName): string[] {
  const spec: ImageSpec = images[name];
  return spec.parts.flatMap((part) => {
    if (part.kind === "tool") return [part.program];
    if (part.kind === "tools") return part.programs;
    return part.kind === "image" ? programsIn(part.image) : [];
  });
}

/**
 * The references {@link buildImages} would give, without building.
 *
 * @throws EnvironmentError when an image holds a program that has not been made yet
 */
export async function imageReferences(home: OrreryHome, names: readonly string[]): Promise<Map<string, string>> {
  const located = await Promise.all(toolsIn(names).map((tool) => locateTool(home, tool)));
  const paths = new Map(located.flatMap((entry) => Object.entries(entry?.programs ?? {})));
  const program = (name: string): string => {
    const path = paths.get(name);
    if (path !== undefined) return path;
    throw new EnvironmentError(`The program ${name} is not there yet.`, "`npx orrery up <experiment>` makes it.");
  };
  const image = (name: ImageName) => describe(name, context);
  const context: PartContext = { home, root: dirname(here), program, signal: undefined, image };
  const references = new Map<string, string>();
  for (const name of names.map(knownName)) references.set(name, (await describe(name, context)).reference);
  return references;
}

function knownName(name: string): ImageName {
  if (isImageName(name)) return name;
  const pulled = pulledImages[name];
  if (pulled !== undefined) {
    throw new EnvironmentError(
      `The image "${name}" is in no package registry and the local cluster can pull none.`,
      `Leave it out of the experiment, or use a cluster that can pull: --context <name> --image ${name}=${pulled}.`,
    );
  }
  throw new EnvironmentError(`There is no image "${name}".`, `Images are: ${Object.keys(images).join(", ")}.`);
}

function lockOf(home: OrreryHome): string {
  const id = createHash("sha256").update(home.images).digest("hex").slice(0, 10);
  return join(home.locks, `images-${id}`);
}

/** Reference and archive of an image as its inputs are now. */
async function describe(name: ImageName, context: PartContext): Promise<BuiltImage> {
  const tag = await contentTag(name, context);
  return {
    name,
    reference: `orrery.dev/${name}:${tag}`,
    archive: join(context.home.images, `${name}-${tag}.tar`),
  };
}

/** The tag of an image as its inputs are now: a hash of everything that goes into it. */
export async function contentTag(name: ImageName, context: PartContext): Promise<string> {
  const spec: ImageSpec = images[name];
  const hash = createHash("sha256").update(process.arch);
  if (spec.base !== undefined) hash.update(await contentTag(knownName(spec.base), context));
  hash.update(await readFile(join(here, spec.buildFile)));
  for (const part of spec.parts) hash.update(`\0${part.to}\0${await fingerprint(part, context)}`);
  return hash.digest("hex").slice(0, 12);
}

/** Builds one image, with its base where the storage has lost it, and writes its archive in one step. */
async function build(image: BuiltImage, context: BuildContext): Promise<void> {
  if (await exists(image.archive)) return; // another process built it while this one waited
  await removeContexts(context.home.images);
  const task = `build image ${image.name}`;
  context.progress.start(task);
  try {
    await intoStorage(image, context);
    const unfinished = `${image.archive}.new`;
    await rm(unfinished, { force: true });
    await buildah(context, ["push", "--quiet", image.reference, `docker-archive:${unfinished}:${image.reference}`]);
    await rename(unfinished, image.archive);
    await removeOlder(image, context);
  } catch (error) {
    context.progress.fail(task, (error as Error).message);
    throw error;
  }
  context.progress.done(task, image.reference);
}

/** Build contexts of processes that were killed: under the lock nobody else has one. */
async function removeContexts(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith("context-")) await rm(join(folder, name), { recursive: true, force: true });
  }
}

async function intoStorage(image: BuiltImage, context: BuildContext): Promise<void> {
  const spec: ImageSpec = images[image.name];
  const args: string[] = [];
  if (spec.base !== undefined) {
    const base = await describe(knownName(spec.base), context);
    const present = await exec(
      context.buildah,
      [...storage(context), "inspect", "--type", "image", base.reference],
      environment(),
    );
    if (present.code !== 0) await intoStorage(base, context);
    args.push("--build-arg", `BASE=${base.reference}`);
  }
  const folder = await mkdtemp(join(context.home.images, "context-"));
  try {
    for (const part of spec.parts) await place(part, folder, context);
    // Files of one time make the same layer wherever and whenever it is built; format docker would name the builder.
    const fixed = ["--timestamp", "0", "--pull-never", "--quiet", "--format", "oci"];
    await buildah(context, [
      "build",
      ...fixed,
      ...args,
      "--file",
      join(here, spec.buildFile),
      "--tag",
      image.reference,
      folder,
    ]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Archives and stored images of earlier contents are of no use: whoever runs them has them in its cluster. */
async function removeOlder(image: BuiltImage, context: BuildContext): Promise<void> {
  const pattern = new RegExp(`^${image.name}-[0-9a-f]{12}\\.tar$`);
  for (const file of await readdir(context.home.images)) {
    const path = join(context.home.images, file);
    if (pattern.test(file) && path !== image.archive) await rm(path, { force: true });
  }
  // What is in an archive need not be in buildah's storage as well, except what others start from.
  const base = await describe("base", context);
  const listed = await buildah(context, ["images", "--all", "--format", "{{.ID}} {{.Name}}:{{.Tag}}"]);
  for (const line of listed.split("\n")) {
    const [id, reference] = line.split(" ");
    if (id && reference !== base.reference) await buildah(context, ["rmi", "--force", id]);
  }
}

function storage(context: BuildContext): string[] {
  return [
    ...[
      "--root",
      join(context.home.images, `storage-${context.driver}`),
      "--runroot",
      join(context.home.images, "run"),
    ],
    ...["--storage-driver", context.driver],
  ];
}

function environment(): { env: NodeJS.ProcessEnv } {
  return { env: { ...process.env, BUILDAH_ISOLATION: "chroot" } };
}

async function buildah(context: BuildContext, args: readonly string[]): Promise<string> {
  return await run(context.buildah, [...storage(context), ...args], { ...environment(), signal: context.signal });
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
