import { homedir } from "node:os";
import { join } from "node:path";
import * as k8s from "@pulumi/kubernetes";
import type { ClusterTarget } from "../components/cluster-target.ts";
import { EnvironmentError } from "../schema/errors.ts";

/** What must be said of a cluster Orrery knows nothing of but its kubeconfig context. */
export interface ContextSettings {
  readonly context: string;
  readonly images: Readonly<Record<string, string>>;
}

/** The kubeconfig in use: the first of `KUBECONFIG`, else `~/.kube/config`. */
export function defaultKubeconfig(env: NodeJS.ProcessEnv = process.env): string {
  return env.KUBECONFIG?.split(":")[0] || join(homedir(), ".kube", "config");
}

/** Any cluster of an existing kubeconfig context. Its images must be where it can pull them. */
export function contextTarget(settings: ContextSettings): ClusterTarget {
  return {
    name: "context",
    provider: new k8s.Provider("cluster", {
      kubeconfig: defaultKubeconfig(),
      context: settings.context,
      enableConfigMapMutable: true,
    }),
    exposure: "proxy",
    serviceCidr: "0.0.0.0/0", // unknown of a foreign cluster; the ports in the policies still hold
    apiServerCidr: "0.0.0.0/0",
    images: (name) => {
      const image = settings.images[name];
      if (image === undefined) {
        throw new EnvironmentError(
          `No image is named for "${name}", and context "${settings.context}" cannot run images of this machine.`,
          `Push one and name it: pulumi config set --path 'orrery:images.${name}' <reference>, or --image ${name}=<reference>.`,
        );
      }
      return image;
    },
    arch: "amd64",
    capabilities: { enforcesNetworkPolicy: false, movableVolumes: false },
  };
}
