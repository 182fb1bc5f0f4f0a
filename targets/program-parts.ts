import * as k8s from "@pulumi/kubernetes";
import { imageReferences } from "../images/build.ts";
import { pulledImages } from "../images/table.ts";
import { OrreryHome } from "../local/toolchain/home.ts";
import { EnvironmentError } from "../schema/errors.ts";
import { namesToBuild } from "./built-images.ts";
import { defaultKubeconfig } from "./kubeconfig.ts";
import type { TargetSettings } from "./module.ts";
import { targetPulls } from "./pulling.ts";

/**
 * The provider of a cluster, by default that of a context of the kubeconfig in use. ConfigMaps are changed in place: a
 * longer peer list must replace nothing, and previews of pull requests count on it (ci/force-new.ts).
 */
export function clusterProvider(context: string, kubeconfig: string = defaultKubeconfig()): k8s.Provider {
  return new k8s.Provider("cluster", { kubeconfig, context, enableConfigMapMutable: true });
}

/** Images built on this machine and brought into the cluster, or pulled by it; the settings may name others. */
export async function builtImages(
  target: string,
  settings: TargetSettings,
  names: readonly string[],
  home: OrreryHome = OrreryHome.fromEnvironment(),
): Promise<(name: string) => string> {
  const pulls = targetPulls(target);
  const references = await imageReferences(home, pulls ? namesToBuild(settings, names) : names);
  return (name) => {
    const reference = settings.images[name] ?? references.get(name) ?? (pulls ? pulledImages[name] : undefined);
    if (reference !== undefined) return reference;
    throw new EnvironmentError(
      `There is no image "${name}" for the ${target} cluster.`,
      `The experiment needs: ${names.join(", ")}; components/images.ts is where one is added.`,
    );
  };
}
