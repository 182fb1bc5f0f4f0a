/** Where the conformance suite runs: the one place that knows how a cluster and a plugin are found. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { CoreV1Api, KubeConfig, KubernetesObjectApi } from "@kubernetes/client-node";
import { cluster as testCluster } from "../../support/cluster.ts";

/** Which plugin is under test; expectations differ where {@link file://./differences.ts} says so. */
export type PluginName = "official" | "orrery";

/** A cluster and the plugin to drive it with. */
export interface ConformanceTarget {
  readonly kubeconfig: string;
  readonly plugin: PluginName;
  /** Folder with `pulumi-resource-kubernetes`, put first on PATH; absent for an installed official plugin. */
  readonly pluginDir: string | undefined;
  /** An image present on the cluster's nodes that has `sh` and `sleep`. */
  readonly image: string;
  /** False where no kubelet runs containers (a bare control plane): container logs cannot be read there. */
  readonly runsContainers: boolean;
  readonly core: CoreV1Api;
  readonly objects: KubernetesObjectApi;
}

/** Either a target, or why there is none. */
export type Acquired = { readonly target: ConformanceTarget } | { readonly skipped: string };

function pluginFromEnvironment(): { plugin: PluginName; pluginDir: string | undefined } {
  const plugin = process.env.ORRERY_CONFORMANCE_PLUGIN ?? "orrery";
  if (plugin !== "official" && plugin !== "orrery") {
    throw new Error(`ORRERY_CONFORMANCE_PLUGIN is "${plugin}": expected official or orrery`);
  }
  const pluginDir = process.env.ORRERY_CONFORMANCE_PLUGIN_DIR;
  if (plugin === "orrery" && (pluginDir === undefined || !existsSync(join(pluginDir, "pulumi-resource-kubernetes")))) {
    throw new Error(
      `ORRERY_CONFORMANCE_PLUGIN_DIR is "${pluginDir ?? ""}": expected the folder that holds pulumi-resource-kubernetes ` +
        "(cd local && go build -o <folder>/pulumi-resource-kubernetes ./plugin)",
    );
  }
  return { plugin, pluginDir };
}

/** The cluster of this test run, as an alternative to one named in the environment. */
function fromTestRun(): Acquired {
  if (testCluster.conformance === undefined) {
    return { skipped: `plugin conformance needs a cluster: ${testCluster.reason ?? "there is none"}` };
  }
  const { plugin, pluginDir, image, path } = testCluster.conformance;
  process.env.PATH = path; // the suite starts pulumi by name
  return { target: { ...clientsOf(testCluster.kubeconfig()), plugin, pluginDir, image, runsContainers: true } };
}

function clientsOf(kubeconfig: string): Pick<ConformanceTarget, "kubeconfig" | "core" | "objects"> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  return { kubeconfig, core: config.makeApiClient(CoreV1Api), objects: KubernetesObjectApi.makeApiClient(config) };
}

/**
 * Finds the cluster named by ORRERY_CONFORMANCE_KUBECONFIG, else the one the test run has started.
 * @throws Error when the settings are wrong.
 */
export function acquireCluster(): Acquired {
  const kubeconfig = process.env.ORRERY_CONFORMANCE_KUBECONFIG;
  if (kubeconfig === undefined || kubeconfig === "") return fromTestRun();
  if (!existsSync(kubeconfig)) throw new Error(`ORRERY_CONFORMANCE_KUBECONFIG: ${kubeconfig} does not exist`);
  return {
    target: {
      ...clientsOf(kubeconfig),
      ...pluginFromEnvironment(),
      image: process.env.ORRERY_CONFORMANCE_IMAGE ?? "busybox:1.37",
      runsContainers: process.env.ORRERY_CONFORMANCE_NO_KUBELET !== "1",
    },
  };
}
