import { access } from "node:fs/promises";
import type { ClusterTarget } from "../components/cluster-target.ts";
import { OrreryHome } from "../local/toolchain/home.ts";
import { EnvironmentError } from "../schema/errors.ts";
import type { TargetProgram, TargetTraits } from "../targets/module.ts";
import { builtImages, clusterProvider } from "../targets/program-parts.ts";
import { targetPulls } from "../targets/pulling.ts";
import { ingressClass } from "./ingress-class.ts";
import { contextOf, kindOptionsOf } from "./options.ts";
import { kindKubeconfig } from "./paths.ts";

const traits: TargetTraits = {
  name: "kind",
  exposure: "proxy",
  ingressClass,
  storageClass: "standard",
  serviceCidr: "10.96.0.0/16",
  apiServerCidr: "0.0.0.0/0", // Docker picks the nodes' network; the ports in the policies still hold
  arch: process.arch === "arm64" ? "arm64" : "amd64",
  // The official node image's kindnet enforces policies, one of ours does not; volumes are folders of a node.
  capabilities: { enforcesNetworkPolicy: false, movableVolumes: false, pullsImages: targetPulls("kind") },
};

/** A cluster of the user's Docker, made by kind. */
export const kindProgram: TargetProgram = {
  traits,
  create: async (settings, images): Promise<ClusterTarget> => {
    const home = OrreryHome.fromEnvironment();
    const { cluster } = kindOptionsOf(settings);
    const kubeconfig = kindKubeconfig(home, cluster);
    await access(kubeconfig).catch((error: unknown) => {
      throw new EnvironmentError(
        `There is no kind cluster ${cluster} of ${home.root}.`,
        "Make it with `npx orrery up <experiment> --target kind`.",
        { cause: error },
      );
    });
    return {
      ...traits,
      provider: clusterProvider(contextOf(cluster), kubeconfig),
      images: await builtImages("kind", settings, images, home),
    };
  },
};
