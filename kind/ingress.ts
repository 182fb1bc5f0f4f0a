import type { KubeConfig, KubernetesObject } from "@kubernetes/client-node";
import { AppsV1Api, KubernetesObjectApi, PatchStrategy } from "@kubernetes/client-node";
import { restrictedContainer, restrictedPod } from "../components/kubernetes/pod.ts";
import type { Progress } from "../local/toolchain/progress.ts";
import { EnvironmentError, messageOf } from "../schema/errors.ts";
import { controllerName, ingressClass } from "./ingress-class.ts";

const name = "orrery-ingress";
const deadlineMs = 180_000;
const labels = { "app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "orrery" };
const admin = "/run/orrery/caddy.sock";
const account = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * Puts an ingress controller on the node with the label `ingress-ready`, whose ports 80 and 443 kind can map to this
 * machine: Caddy and the controller of the local cluster, in one pod. Harmless when it is there.
 *
 * @param image reference of the image `ingress`, which that node has
 * @throws EnvironmentError when it does not get ready
 */
export async function ensureIngress(
  config: KubeConfig,
  image: string,
  { progress, signal }: { readonly progress: Progress; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const task = "ingress controller";
  progress.start(task);
  try {
    const api = KubernetesObjectApi.makeApiClient(config);
    for (const object of ingressObjects(image)) {
      await api.patch(object, undefined, undefined, "orrery", true, PatchStrategy.ServerSideApply);
    }
    await rolledOut(config.makeApiClient(AppsV1Api), signal);
  } catch (error) {
    progress.fail(task, messageOf(error));
    signal?.throwIfAborted();
    throw new EnvironmentError(
      `The ingress controller of the kind cluster does not get ready: ${messageOf(error)}.`,
      `kubectl --namespace ${name} describe pods says more; what it changed goes with \`npx orrery kind down\`.`,
      { cause: error },
    );
  }
  progress.done(task, `class ${ingressClass}`);
}

async function rolledOut(api: AppsV1Api, signal: AbortSignal | undefined): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    signal?.throwIfAborted();
    const { metadata, spec, status } = await api.readNamespacedDeployment({ name, namespace: name });
    const isSeen = (status?.observedGeneration ?? 0) >= (metadata?.generation ?? 0);
    const wanted = spec?.replicas ?? 1;
    if (isSeen && status?.updatedReplicas === wanted && status.availableReplicas === wanted) return;
    if (Date.now() > deadline) throw new Error(`no pod of it serves after ${deadlineMs / 1000} s`);
    await new Promise((done) => setTimeout(done, 1000));
  }
}

/** The controller with all it needs, in the order in which it is made. */
export function ingressObjects(image: string): KubernetesObject[] {
  const rbac = "rbac.authorization.k8s.io/v1";
  const metadata = { name, namespace: name, labels };
  const objects = [
    // A port of the node is more than the restricted and baseline standards allow.
    { apiVersion: "v1", kind: "Namespace", metadata: { name, labels: { ...labels, ...privileged } } },
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    { apiVersion: rbac, kind: "ClusterRole", metadata: { name, labels }, rules },
    {
      apiVersion: rbac,
      kind: "ClusterRoleBinding",
      metadata: { name, labels },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
      subjects: [{ kind: "ServiceAccount", name, namespace: name }],
    },
    { apiVersion: "v1", kind: "ConfigMap", metadata, data: settings() },
    { apiVersion: "apps/v1", kind: "Deployment", metadata, spec: deployment(image) },
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "IngressClass",
      metadata: { name: ingressClass, labels, annotations: { "ingressclass.kubernetes.io/is-default-class": "true" } },
      spec: { controller: controllerName },
    },
  ];
  return objects;
}

const privileged = { "pod-security.kubernetes.io/enforce": "privileged" };
const read = ["get", "list", "watch"];
const rules = [
  { apiGroups: [""], resources: ["services", "secrets"], verbs: read },
  { apiGroups: [""], resources: ["events"], verbs: ["create", "patch", "update"] },
  { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: read },
  { apiGroups: ["networking.k8s.io"], resources: ["ingresses", "ingressclasses"], verbs: read },
  { apiGroups: ["networking.k8s.io"], resources: ["ingresses/status"], verbs: ["update"] },
];

/** What Caddy starts with, until the controller tells it more, and where the controller finds the API server. */
function settings(): Record<string, string> {
  const caddy = { admin: { listen: `unix/${admin}`, origins: ["127.0.0.1"], config: { persist: false } } };
  const here = { cluster: "here", user: "here" };
  const kubeconfig = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "here",
        cluster: { server: "https://kubernetes.default.svc", "certificate-authority": `${account}/ca.crt` },
      },
    ],
    users: [{ name: "here", user: { tokenFile: `${account}/token` } }],
    contexts: [{ name: "here", context: here }],
    "current-context": "here",
  };
  return { "caddy.json": JSON.stringify(caddy), kubeconfig: JSON.stringify(kubeconfig) };
}

function deployment(image: string): object {
  return {
    replicas: 1,
    strategy: { type: "Recreate" }, // two pods cannot have the node's ports at once
    selector: { matchLabels: { "app.kubernetes.io/name": name } },
    template: { metadata: { labels }, spec: pod(image) },
  };
}

function pod(image: string): object {
  const mounts = [
    { name: "settings", mountPath: "/etc/orrery", readOnly: true },
    { name: "run", mountPath: "/run/orrery" },
    { name: "data", mountPath: "/data" },
  ];
  const common = { image, securityContext: restrictedContainer, volumeMounts: mounts };
  return {
    serviceAccountName: name,
    nodeSelector: { "ingress-ready": "true", "kubernetes.io/os": "linux" },
    tolerations: [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }],
    securityContext: { ...restrictedPod, sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "0" }] },
    volumes: [
      { name: "settings", configMap: { name } },
      { name: "run", emptyDir: {} },
      { name: "data", emptyDir: {} },
    ],
    containers: [
      {
        ...common,
        name: "caddy",
        command: ["/usr/local/bin/caddy", "run", "--config", "/etc/orrery/caddy.json"],
        env: [{ name: "HOME", value: "/data" }],
        ports: [
          { name: "http", containerPort: 80, hostPort: 80 },
          { name: "https", containerPort: 443, hostPort: 443 },
        ],
        readinessProbe: { tcpSocket: { port: "http" }, periodSeconds: 2 }, // it listens once the controller has told it
        resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { memory: "256Mi" } },
      },
      {
        ...common,
        name: "controller",
        command: [
          "/usr/local/bin/ingress-controller",
          "--kubeconfig=/etc/orrery/kubeconfig",
          `--caddy-admin=unix/${admin}`,
          "--storage=/data/certificates",
          "--address=$(NODE_ADDRESS)",
        ],
        env: [{ name: "NODE_ADDRESS", valueFrom: { fieldRef: { fieldPath: "status.hostIP" } } }],
        resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { memory: "128Mi" } },
      },
    ],
  };
}
