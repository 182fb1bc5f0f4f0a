import { type BuiltImage, buildImages, toolsIn } from "../images/build.ts";
import { pulledImages } from "../images/table.ts";
import { OrreryHome } from "../local/toolchain/home.ts";
import type { Progress } from "../local/toolchain/progress.ts";
import { imageTools, resolveTools, type ToolEntry } from "../local/toolchain/toolchain.ts";
import { EnvironmentError } from "../schema/errors.ts";
import type { TargetSettings } from "./module.ts";

/** Images, and the tools it took to build them. */
export interface ImagesWithTools {
  readonly images: readonly BuiltImage[];
  readonly tools: readonly ToolEntry[];
}

/** Builds images of these names on this machine, as far as they are not there yet. */
export async function buildHere(
  names: readonly string[],
  preparing: { readonly progress: Progress; readonly signal?: AbortSignal | undefined },
  home: OrreryHome = OrreryHome.fromEnvironment(),
): Promise<ImagesWithTools> {
  if (names.length === 0) return { images: [], tools: [] };
  await home.prepare();
  const tools = await resolveTools(home, [...imageTools, ...toolsIn(names)], preparing);
  return { images: await buildImages(home, tools, names, preparing), tools: tools.entries };
}

/** Names of the images that are neither in registries only nor stood for by a reference of the settings. */
export const namesToBuild = (settings: TargetSettings, names: readonly string[]): string[] =>
  names.filter((name) => settings.images[name] === undefined && pulledImages[name] === undefined);

/** The error of targets whose nodes pull what they run. */
export function pullsImages(where: string, names: readonly string[]): EnvironmentError {
  return new EnvironmentError(
    `${where} pulls its images from a registry; none can be loaded.`,
    `Push them (npx orrery images push <registry> ${names.join(" ")}) and name what that prints: ${names
      .map((name) => `--image ${name}=<reference>`)
      .join(" ")}`,
  );
}
