import * as k8s from "@pulumi/kubernetes";
import type { ClusterTarget } from "../components/cluster-target.ts";
import { imageReferences } from "../images/build.ts";
import { EnvironmentError } from "../schema/errors.ts";
import { clusterStatus } from "./cluster/index.ts";
import { OrreryHome } from "./toolchain/home.ts";

/** Settings of {@link localTarget}. */
export interface LocalTargetOptions {
  /** @default the home the environment names */
  readonly home?: OrreryHome;
  /** Name of the cluster. @default "local" */
  readonly cluster?: string;
  /** Names of the images that will be asked for. */
  readonly images: readonly string[];
}

/**
 * The embedded cluster of this machine as a place to deploy.
 *
 * @throws EnvironmentError with the command to run when the cluster has never been up or does not run
 */
export async function localTarget(options: LocalTargetOptions): Promise<ClusterTarget> {
  const home = options.home ?? OrreryHome.fromEnvironment();
  const cluster = await clusterStatus(home, { name: options.cluster });
  if (cluster.state !== "running") {
    throw new EnvironmentError(
      `The local cluster ${cluster.name} of ${home.root} is ${cluster.state}.`,
      "Start it with `npx orrery local up`.",
    );
  }
  const references = await imageReferences(home, options.images);
  return {
    name: "local",
    provider: new k8s.Provider("cluster", {
      kubeconfig: cluster.kubeconfigPath,
      context: cluster.context,
      enableConfigMapMutable: true,
    }),
    exposure: "proxy",
    storageClass: "standard",
    serviceCidr: cluster.serviceCidr,
    // Requests of the API server come from the node's address or its side of a pod's link; all lie in this range.
    apiServerCidr: "198.18.0.0/15",
    images: (name) => {
      const reference = references.get(name);
      if (reference !== undefined) return reference;
      throw new EnvironmentError(
        `There is no image "${name}" for the local cluster.`,
        `The experiment needs: ${options.images.join(", ")}; components/images.ts is where one is added.`,
      );
    },
    arch: process.arch === "arm64" ? "arm64" : "amd64",
    capabilities: { enforcesNetworkPolicy: false, movableVolumes: false },
  };
}
