import {
  ApisApi,
  AuthorizationV1Api,
  CoreV1Api,
  type KubeConfig,
  StorageV1Api,
  type V1CSINode,
  type V1LimitRange,
  type V1Node,
  type V1Pod,
  type V1ResourceQuota,
} from "@kubernetes/client-node";
import type { NodeRoom, Room } from "./capacity.ts";
import { answered, serverVersion } from "./kube-client.ts";
import { amount, requestsOf } from "./needs.ts";
import type { NamespaceLimit } from "./quotas.ts";

const defaultClass = "storageclass.kubernetes.io/is-default-class";
const noProvisioner = "kubernetes.io/no-provisioner";

/**
 * What a cluster has left, read through its API; nothing is changed.
 *
 * @param ownNamespace Namespace whose pods count as free, since a deployment replaces them
 * @throws EnvironmentError when the cluster does not answer or refuses to tell
 */
export async function roomOf(config: KubeConfig, ownNamespace: string): Promise<Room> {
  return await answered(config, () => readRoom(config, ownNamespace));
}

async function readRoom(config: KubeConfig, ownNamespace: string): Promise<Room> {
  const core = config.makeApiClient(CoreV1Api);
  const storage = config.makeApiClient(StorageV1Api);
  const own = { namespace: ownNamespace };
  const [version, nodes, pods, groups, classes, csiNodes, volumes, quotas, ranges, refused] = await Promise.all([
    serverVersion(config),
    core.listNode(),
    core.listPodForAllNamespaces({ fieldSelector: "status.phase!=Succeeded,status.phase!=Failed" }),
    config.makeApiClient(ApisApi).getAPIVersions(),
    storage.listStorageClass(),
    storage.listCSINode(),
    core.listPersistentVolume(),
    core.listNamespacedResourceQuota(own),
    core.listNamespacedLimitRange(own),
    refusals(config),
  ]);
  const others = pods.items.filter((pod) => pod.metadata?.namespace !== ownNamespace);
  const free = volumes.items.filter((volume) => volume.status?.phase === "Available");
  return {
    version,
    nodes: nodes.items.filter(takesPods).map((node) => nodeRoom(node, others, csiNodes.items)),
    apiVersions: ["v1", ...groups.groups.flatMap((group) => group.versions.map((one) => one.groupVersion))],
    storageClasses: classes.items.map((one) => ({
      name: one.metadata?.name ?? "",
      isDefault: one.metadata?.annotations?.[defaultClass] === "true",
      ...(one.provisioner === noProvisioner
        ? { freeVolumes: free.filter((volume) => volume.spec?.storageClassName === one.metadata?.name).length }
        : {}),
    })),
    images: nodes.items.flatMap((node) => node.status?.images ?? []).flatMap((image) => image.names ?? []),
    limits: namespaceLimits(quotas.items, ranges.items),
    refused,
  };
}

/** Pods of ours tolerate no taints. */
function takesPods(node: V1Node): boolean {
  const isReady = node.status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") === true;
  const taints = node.spec?.taints ?? [];
  const isTainted = taints.some((taint) => taint.effect === "NoSchedule" || taint.effect === "NoExecute");
  return isReady && node.spec?.unschedulable !== true && !isTainted;
}

function nodeRoom(node: V1Node, pods: readonly V1Pod[], csiNodes: readonly V1CSINode[]): NodeRoom {
  const name = node.metadata?.name ?? "";
  const here = pods.filter((pod) => pod.spec?.nodeName === name);
  const used = here.map((pod) => requestsOf((pod.spec ?? {}) as Parameters<typeof requestsOf>[0]));
  const limits = (csiNodes.find((one) => one.metadata?.name === name)?.spec.drivers ?? [])
    .map((driver) => driver.allocatable?.count)
    .filter((count) => count !== undefined);
  const claims = here.flatMap((pod) => pod.spec?.volumes ?? []).filter((volume) => volume.persistentVolumeClaim);
  return {
    name,
    cpu: amount(node.status?.allocatable?.cpu) - used.reduce((sum, one) => sum + one.cpu, 0),
    memory: amount(node.status?.allocatable?.memory) - used.reduce((sum, one) => sum + one.memory, 0),
    pods: amount(node.status?.allocatable?.pods) - here.length,
    ...(limits.length === 0 ? {} : { volumes: Math.min(...limits) - claims.length }),
  };
}

/** What this user may not make, of what every experiment needs. */
async function refusals(config: KubeConfig): Promise<string[]> {
  const api = config.makeApiClient(AuthorizationV1Api);
  const asked = [
    { group: "", resource: "namespaces" },
    { group: "apps", resource: "statefulsets" },
    { group: "batch", resource: "jobs" },
    { group: "rbac.authorization.k8s.io", resource: "roles" },
  ];
  const answers = await Promise.all(
    asked.map(({ group, resource }) =>
      api.createSelfSubjectAccessReview({
        body: { spec: { resourceAttributes: { verb: "create", group, resource } } },
      }),
    ),
  );
  return asked
    .filter((_, index) => answers[index]?.status?.allowed !== true)
    .map(({ resource }) => `create ${resource}`);
}

/** What ResourceQuotas and LimitRanges limit; what is in use is left out, since a deployment replaces its own. */
function namespaceLimits(
  quotas: readonly V1ResourceQuota[],
  ranges: readonly V1LimitRange[],
): readonly NamespaceLimit[] {
  const limits = (source: string, per: NamespaceLimit["per"], values: Readonly<Record<string, string>> = {}) =>
    Object.entries(values).map(([resource, max]) => ({ source, per, resource, max: amount(max) }));
  return [
    ...quotas
      .filter(({ spec }) => spec?.scopes === undefined && spec?.scopeSelector === undefined) // others are for some pods
      .flatMap(({ metadata, spec }) => limits(`ResourceQuota ${metadata?.name}`, "namespace", spec?.hard)),
    ...ranges.flatMap(({ metadata, spec }) =>
      (spec?.limits ?? []).flatMap(({ type, max }) => {
        const per = perType[type];
        return per === undefined ? [] : limits(`LimitRange ${metadata?.name}`, per, max);
      }),
    ),
  ];
}

const perType: Readonly<Record<string, NamespaceLimit["per"]>> = {
  Pod: "pod",
  Container: "container",
  PersistentVolumeClaim: "volume",
};
