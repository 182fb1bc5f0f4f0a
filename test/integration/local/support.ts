import { setTimeout as sleep } from "node:timers/promises";
import { CoreV1Api, KubeConfig, type KubernetesObject, KubernetesObjectApi, type V1Pod } from "@kubernetes/client-node";
import { buildImages } from "../../../images/build.ts";
import { clusterUp, importImages } from "../../../local/cluster/index.ts";
import type { OrreryHome } from "../../../local/toolchain/home.ts";
import { clusterTools, imageTools, resolveTools } from "../../../local/toolchain/toolchain.ts";

/** A cluster of these tests, with clients and an image that can run JavaScript. */
export interface TestCluster {
  readonly home: OrreryHome;
  readonly core: CoreV1Api;
  readonly objects: KubernetesObjectApi;
  readonly config: KubeConfig;
  readonly image: string;
  readonly nodeAddress: string;
}

/** Brings a cluster up, with the driver image in it. */
export async function startCluster(home: OrreryHome): Promise<TestCluster> {
  const info = await clusterUp(home);
  const tools = await resolveTools(home, [...clusterTools, ...imageTools]);
  const images = await buildImages(home, tools, ["driver"]);
  await importImages(home, info, images);
  const config = new KubeConfig();
  config.loadFromFile(info.kubeconfigPath);
  return {
    home,
    core: config.makeApiClient(CoreV1Api),
    objects: KubernetesObjectApi.makeApiClient(config),
    config,
    image: images[0]?.reference ?? "",
    nodeAddress: info.nodeAddress,
  };
}

/** Settings of {@link scriptPod}. */
export interface ScriptPodOptions {
  readonly name: string;
  readonly namespace: string;
  readonly script: string;
  readonly labels?: Record<string, string>;
  readonly claim?: string;
}

/** The pod template of a program that meets the restricted Pod Security level. */
export function scriptPodSpec(image: string, { script, claim }: Pick<ScriptPodOptions, "script" | "claim">) {
  return {
    terminationGracePeriodSeconds: 1,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65532,
      runAsGroup: 65532,
      fsGroup: 65532,
      seccompProfile: { type: "RuntimeDefault" },
    },
    containers: [
      {
        name: "script",
        image,
        args: ["-e", script],
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        },
        resources: { requests: { cpu: "10m", memory: "32Mi" }, limits: { memory: "256Mi" } },
        ...(claim === undefined ? {} : { volumeMounts: [{ name: "data", mountPath: "/data" }] }),
      },
    ],
    ...(claim === undefined ? {} : { volumes: [{ name: "data", persistentVolumeClaim: { claimName: claim } }] }),
    restartPolicy: "Never",
  };
}

/** Creates a namespace that admits only restricted pods. */
export async function restrictedNamespace(cluster: TestCluster, name: string): Promise<void> {
  await create(cluster, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name, labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
  });
  await until(`ServiceAccount of ${name}`, async () => {
    const accounts = await cluster.core.listNamespacedServiceAccount({ namespace: name });
    return accounts.items.some((account) => account.metadata?.name === "default");
  });
}

/** Runs a script in a pod to its end and returns what it printed; fails with its log when it does not succeed. */
export async function runScript(cluster: TestCluster, options: ScriptPodOptions): Promise<string> {
  const { name, namespace, labels } = options;
  await create(cluster, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, ...(labels === undefined ? {} : { labels }) },
    spec: scriptPodSpec(cluster.image, options),
  } as KubernetesObject);
  let pod: V1Pod = {};
  await until(`end of pod ${name}`, async () => {
    pod = await cluster.core.readNamespacedPod({ name, namespace });
    return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
  });
  const log = await cluster.core.readNamespacedPodLog({ name, namespace });
  if (pod.status?.phase !== "Succeeded") throw new Error(`pod ${name} failed: ${log}`);
  return log.trim();
}

/** Creates an object of any kind. */
export async function create(cluster: TestCluster, object: KubernetesObject & { spec?: unknown }): Promise<void> {
  await cluster.objects.create(object);
}

/** Waits for a condition, two minutes at most. */
export async function until(what: string, condition: () => Promise<boolean>, timeoutMs = 120_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not within ${timeoutMs / 1000} s: ${what}`);
    await sleep(100);
  }
}
