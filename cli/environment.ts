import type { KubeConfig } from "@kubernetes/client-node";
import { type Environment, environmentSchema } from "../schema/results.ts";
import { coreApi, serverVersion } from "./cluster-client.ts";
import type { PreparedTarget } from "./targets.ts";

/** Where a run takes place: cluster, nodes, images with the digests that really run, versions of what took part. */
export async function describeEnvironment(
  config: KubeConfig,
  namespace: string,
  target: PreparedTarget,
): Promise<Environment> {
  const api = coreApi(config);
  const [kubernetes, nodes, pods] = await Promise.all([
    serverVersion(config),
    api.listNode(),
    api.listNamespacedPod({ namespace }),
  ]);
  const images = new Map<string, Environment["images"][number]>();
  for (const pod of pods.items) {
    for (const status of pod.status?.containerStatuses ?? []) {
      const digest = /sha256:[0-9a-f]{64}/.exec(status.imageID)?.[0] ?? null;
      images.set(`${status.name} ${status.image}`, { name: status.name, image: status.image, digest });
    }
  }
  return environmentSchema.parse({
    target: target.connection.name,
    context: target.connection.context,
    kubernetes,
    nodes: nodes.items.map((node) => ({
      name: node.metadata?.name ?? "",
      cpu: node.status?.capacity?.cpu ?? "",
      memory: node.status?.capacity?.memory ?? "",
      kernel: node.status?.nodeInfo?.kernelVersion ?? "",
      os: node.status?.nodeInfo?.osImage ?? "",
      runtime: node.status?.nodeInfo?.containerRuntimeVersion ?? "",
    })),
    images: [...images.values()].sort((a, b) => a.name.localeCompare(b.name)),
    versions: target.versions,
    kubernetesPlugin: target.kubernetesPlugin,
    networkPolicyEnforced: target.networkPolicyEnforced,
  });
}
