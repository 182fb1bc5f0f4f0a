import { CoreV1Api, KubeConfig, VersionApi } from "@kubernetes/client-node";
import type { TargetConnection } from "../components/cluster-target.ts";
import { EnvironmentError, messageOf } from "../schema/errors.ts";

/** A kubeconfig context, checked to exist. */
export function kubeConfigOf(connection: TargetConnection): KubeConfig {
  const config = new KubeConfig();
  try {
    config.loadFromFile(connection.kubeconfig);
  } catch (error) {
    throw new EnvironmentError(
      `The kubeconfig ${connection.kubeconfig} cannot be read: ${messageOf(error)}.`,
      "Give the path of a readable kubeconfig in KUBECONFIG.",
      { cause: error },
    );
  }
  if (config.getContextObject(connection.context) === null) {
    const known = config.getContexts().map((context) => context.name);
    throw new EnvironmentError(
      `The kubeconfig ${connection.kubeconfig} has no context "${connection.context}".`,
      known.length === 0 ? "It names no context at all." : `It has ${known.join(", ")}.`,
    );
  }
  config.setCurrentContext(connection.context);
  return config;
}

/** @throws EnvironmentError when the cluster does not answer. */
export async function serverVersion(config: KubeConfig): Promise<string> {
  try {
    return (await config.makeApiClient(VersionApi).getCode()).gitVersion;
  } catch (error) {
    const server = config.getCurrentCluster()?.server ?? "an unknown address";
    throw new EnvironmentError(
      `The cluster of context "${config.getCurrentContext()}" at ${server} does not answer: ${messageOf(error)}.`,
      "Start it, or name another context with --context.",
      { cause: error },
    );
  }
}

export const coreApi = (config: KubeConfig): CoreV1Api => config.makeApiClient(CoreV1Api);
