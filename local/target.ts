import type { ClusterTarget } from "../components/cluster-target.ts";
import { EnvironmentError } from "../schema/errors.ts";
import type { TargetProgram, TargetTraits } from "../targets/module.ts";
import { builtImages, clusterProvider } from "../targets/program-parts.ts";
import { targetPulls } from "../targets/pulling.ts";
import { ingressClassName, storageClassName } from "./cluster/config.ts";
import { clusterStatus } from "./cluster/index.ts";
import { OrreryHome } from "./toolchain/home.ts";

const traits: TargetTraits = {
  name: "local",
  exposure: "proxy",
  ingressClass: ingressClassName,
  storageClass: storageClassName,
  serviceCidr: "198.19.0.0/17",
  // Requests of the API server come from the node's address or its side of a pod's link; all lie in this range.
  apiServerCidr: "198.18.0.0/15",
  arch: process.arch === "arm64" ? "arm64" : "amd64",
  capabilities: { enforcesNetworkPolicy: false, movableVolumes: false, pullsImages: targetPulls("local") },
};

/** The embedded cluster of this machine as a place to deploy. */
export const localProgram: TargetProgram = {
  traits,
  create: async (settings, images): Promise<ClusterTarget> => {
    const home = OrreryHome.fromEnvironment();
    const cluster = await clusterStatus(home);
    if (cluster.state !== "running") {
      throw new EnvironmentError(
        `The local cluster ${cluster.name} of ${home.root} is ${cluster.state}.`,
        "Start it with `npx orrery local up`.",
      );
    }
    return {
      ...traits,
      provider: clusterProvider(cluster.context, cluster.kubeconfigPath),
      serviceCidr: cluster.serviceCidr,
      images: await builtImages("local", settings, images, home),
    };
  },
};
