import { type BuiltImage, buildImages, toolsIn } from "../images/build.ts";
import { OrreryHome } from "../local/toolchain/home.ts";
import { imageTools, resolveTools } from "../local/toolchain/toolchain.ts";
import type { Deployment, Preparing, TargetSettings } from "./module.ts";

/** Builds the images an experiment needs on this machine, but for those the settings name a reference for. */
export async function imagesToLoad(
  settings: TargetSettings,
  deployment: Deployment,
  preparing: Preparing,
): Promise<BuiltImage[]> {
  const names = deployment.images.filter((name) => settings.images[name] === undefined);
  if (names.length === 0) return [];
  const home = OrreryHome.fromEnvironment();
  const tools = await resolveTools(home, [...imageTools, ...toolsIn(names)], preparing);
  return await buildImages(home, tools, names, preparing);
}
