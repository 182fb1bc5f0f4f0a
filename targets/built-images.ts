import { type BuiltImage, buildImages } from "../images/build.ts";
import { OrreryHome } from "../local/toolchain/home.ts";
import { imageTools, resolveTools } from "../local/toolchain/toolchain.ts";
import type { Experiment } from "../schema/experiment.ts";
import type { Preparing, TargetSettings } from "./module.ts";

/** Builds the images an experiment needs on this machine, but for those the settings name a reference for. */
export async function imagesToLoad(
  { images }: TargetSettings,
  experiment: Experiment,
  preparing: Preparing,
): Promise<BuiltImage[]> {
  const own = experiment.network.image === undefined ? [experiment.network.system] : [];
  const names = [...own, "driver"].filter((name) => images[name] === undefined);
  if (names.length === 0) return [];
  const home = OrreryHome.fromEnvironment();
  await home.prepare();
  return await buildImages(home, await resolveTools(home, imageTools, preparing), names, preparing);
}
