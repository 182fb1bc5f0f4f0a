import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { OrreryHome } from "../local/toolchain/home.ts";
import { EnvironmentError, messageOf } from "../schema/errors.ts";
import { contentTag } from "./build.ts";
import { type PartContext, place } from "./parts.ts";
import { type ImageName, type ImageSpec, images } from "./table.ts";

const here = dirname(fileURLToPath(import.meta.url));
const listFile = "contexts.json";

const contextListSchema = z.array(
  z.strictObject({
    name: z.string(),
    /** Hash of everything in the context. */
    tag: z.string(),
    /** Image of the list, earlier in it, whose reference is the build argument BASE. */
    base: z.string().optional(),
  }),
);
/** Build contexts in an order in which they can be built. */
export type ContextList = z.output<typeof contextListSchema>;

/**
 * Writes what a Docker or BuildKit build of each image needs, and of those they start from, into a folder:
 * `<image>/Containerfile` with its files beside it, and the list of them in `contexts.json`. What lay there is replaced.
 */
export async function writeContexts(
  home: OrreryHome,
  tools: { path(program: string): string },
  names: readonly ImageName[],
  folder: string,
  signal: AbortSignal | undefined,
): Promise<ContextList> {
  const context: PartContext = {
    home,
    root: dirname(here),
    program: (name) => tools.path(name),
    signal,
    image: (name) => Promise.reject(new Error(`${name} is an image inside an image; no pod runs such a one`)),
  };
  const list: ContextList = [];
  for (const name of withBases(names)) {
    const { base, buildFile, parts }: ImageSpec = images[name];
    const target = join(folder, name);
    await rm(target, { recursive: true, force: true });
    await mkdir(target, { recursive: true });
    for (const part of parts) await place(part, target, context);
    await cp(join(here, buildFile), join(target, "Containerfile"));
    list.push({ name, tag: await contentTag(name, context), ...(base === undefined ? {} : { base }) });
  }
  await writeFile(join(folder, listFile), `${JSON.stringify(list, null, 2)}\n`);
  return list;
}

/** The images and, before each, the one it starts from. */
function withBases(names: readonly ImageName[]): ImageName[] {
  const baseOf = (name: ImageName) => (images[name] as ImageSpec).base as ImageName | undefined;
  return [...new Set(names.flatMap((name) => [baseOf(name) ?? name, name]))];
}

/**
 * The list of contexts in a folder.
 *
 * @throws EnvironmentError when {@link writeContexts} has not written it
 */
export async function readContexts(folder: string): Promise<ContextList> {
  try {
    return contextListSchema.parse(JSON.parse(await readFile(join(folder, listFile), "utf8")));
  } catch (error) {
    throw new EnvironmentError(
      `There are no build contexts in ${folder}: ${messageOf(error)}.`,
      `Write them: npx orrery images context --output ${folder}`,
      { cause: error },
    );
  }
}
