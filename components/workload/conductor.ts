import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { ClusterTarget } from "../cluster-target.ts";
import { conductorKey } from "../kubernetes/identity.ts";
import { labelsOf, selectorOf } from "../kubernetes/labels.ts";
import type { NamespaceHandle } from "../kubernetes/namespace.ts";
import { addresses, allow, pods, tcp, toDns } from "../kubernetes/network-policy.ts";
import {
  claimSpec,
  httpProbes,
  nodeNameVariable,
  podNameVariable,
  resources,
  restrictedContainer,
  restrictedPod,
} from "../kubernetes/pod.ts";
import type { NetworkHandle, ScrapeTarget } from "../network-handle.ts";

export interface ConductorArgs {
  /** Experiment it serves; its name is the instance label. */
  readonly experiment: string;
  readonly namespace: NamespaceHandle;
  readonly target: ClusterTarget;
  /** The stack's root secret, 32 bytes in hex. */
  readonly rootSecret: pulumi.Output<string>;
}

/** Name of the conductor's Service and Deployment; the command line reaches it by this name. */
export const conductorName = "conductor";
export const conductorPort = 8070;
const keyPath = "/run/orrery/conductor";
const dataPath = "/data";

/** Labels of the conductor's pod, for the policies of what it talks to. */
export const conductorSelector = (experiment: string) =>
  selectorOf({ instance: experiment, name: "conductor", component: "conductor" });

/**
 * The one program that acts at run time: it holds the drivers' barrier, carries out faults, and keeps results until
 * they are collected.
 *
 * It creates: a Deployment of one pod with a volume, its Service and Secret, a ServiceAccount that may read, watch and
 * delete pods of its own namespace, and a NetworkPolicy. Eight objects. Cost: 0.05 cores, 192 MiB, a volume of 1 GiB.
 *
 * ```ts
 * const conductor = new Conductor("conductor", {experiment: "kv", namespace, target, rootSecret}, {provider});
 * conductor.url; // http://conductor.orrery-kv.svc.cluster.local:8070
 * ```
 */
export class Conductor extends pulumi.ComponentResource {
  /** Base URL inside the cluster. */
  readonly url: string;
  /** Key that run tokens are made with; secret. */
  readonly key: pulumi.Output<string>;
  /** Its account, for rights that others want it to have. */
  readonly account: pulumi.Output<string>;
  /** Its own metrics. */
  readonly scrapeTarget: ScrapeTarget;
  /** What to wait for before a run starts. */
  readonly ready: pulumi.Resource;
  readonly #scope: Scope;

  constructor(name: string, args: ConductorArgs, opts?: pulumi.ComponentResourceOptions) {
    super("orrery:workload:Conductor", name, {}, opts);
    const owner = { instance: args.experiment, name: "conductor", component: "conductor" };
    const scope: Scope = { name, args, labels: labelsOf(owner), selector: selectorOf(owner), parent: this };
    this.#scope = scope;

    this.url = `http://${conductorName}.${args.namespace.name}.svc.cluster.local:${conductorPort}`;
    this.key = pulumi.secret(args.rootSecret.apply(conductorKey));
    const secret = createSecret(scope, this.key);
    const account = createAccount(scope);
    this.account = account.metadata.name;
    const binding = createPermissions(scope, account);
    const volume = createVolume(scope);
    createService(scope);
    const policy = createPolicy(scope);
    this.ready = createDeployment(scope, { secret, account, volume }, [binding, policy]);
    this.scrapeTarget = {
      selector: scope.selector,
      service: conductorName,
      portName: "http",
      port: conductorPort,
      path: "/metrics",
    };
    this.registerOutputs({ url: this.url });
  }

  /** Lets the conductor talk to a network's members, to ask them for their roles. */
  reach(handle: NetworkHandle): void {
    const { name, args, labels, selector } = this.#scope;
    allow(
      `${name}-to-network`,
      {
        namespace: args.namespace.created,
        labels,
        selector,
        ingress: [],
        egress: [{ to: [pods(handle.podSelector)], ports: tcp(...handle.servicePorts) }],
      },
      { parent: this },
    );
  }
}

interface Scope {
  readonly name: string;
  readonly args: ConductorArgs;
  readonly labels: Record<string, string>;
  readonly selector: Record<string, string>;
  readonly parent: pulumi.Resource;
}

function createSecret({ name, args, labels, parent }: Scope, key: pulumi.Output<string>): k8s.core.v1.Secret {
  return new k8s.core.v1.Secret(
    `${name}-key`,
    { metadata: { name: conductorName, namespace: args.namespace.created, labels }, stringData: { "run-key": key } },
    { parent },
  );
}

function createAccount({ name, args, labels, parent }: Scope): k8s.core.v1.ServiceAccount {
  return new k8s.core.v1.ServiceAccount(
    `${name}-account`,
    {
      metadata: { name: conductorName, namespace: args.namespace.created, labels },
      automountServiceAccountToken: false,
    },
    { parent },
  );
}

/** Just what the faults of today need: see the pods of the namespace and delete them, read run specs. */
function createPermissions(
  { name, args, labels, parent }: Scope,
  account: k8s.core.v1.ServiceAccount,
): k8s.rbac.v1.RoleBinding {
  const metadata = { name: conductorName, namespace: args.namespace.created, labels };
  const role = new k8s.rbac.v1.Role(
    `${name}-role`,
    {
      metadata,
      rules: [
        { apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "watch", "delete"] },
        { apiGroups: [""], resources: ["pods/exec"], verbs: ["create", "get"] }, // a crash is a command in the pod
        { apiGroups: [""], resources: ["configmaps"], verbs: ["get"] },
      ],
    },
    { parent },
  );
  return new k8s.rbac.v1.RoleBinding(
    `${name}-binding`,
    {
      metadata,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: role.metadata.name },
      subjects: [{ kind: "ServiceAccount", name: account.metadata.name, namespace: args.namespace.created }],
    },
    { parent },
  );
}

function createVolume({ name, args, labels, parent }: Scope): k8s.core.v1.PersistentVolumeClaim {
  return new k8s.core.v1.PersistentVolumeClaim(
    `${name}-results`,
    {
      metadata: { name: `${conductorName}-results`, namespace: args.namespace.created, labels },
      spec: claimSpec("1Gi", args.target.storageClass),
    },
    { parent },
  );
}

function createService({ name, args, labels, selector, parent }: Scope): void {
  new k8s.core.v1.Service(
    `${name}-service`,
    {
      metadata: {
        name: conductorName,
        namespace: args.namespace.created,
        labels,
        annotations: { "pulumi.com/skipAwait": "true" }, // the Deployment is awaited; one wait is enough
      },
      spec: { selector, ports: [{ name: "http", port: conductorPort, targetPort: "http" }] },
    },
    { parent },
  );
}

function createPolicy({ name, args, labels, selector, parent }: Scope): pulumi.Resource {
  const { target, experiment } = args;
  return allow(
    `${name}-traffic`,
    {
      namespace: args.namespace.created,
      labels,
      selector,
      ingress: [
        { from: [pods(driverSelector(experiment)), addresses(target.apiServerCidr)], ports: tcp(conductorPort) },
      ],
      egress: [
        toDns,
        { to: [addresses(target.apiServerCidr)], ports: tcp(443, 6443) },
        { to: [addresses(target.serviceCidr)], ports: tcp(443) },
      ],
    },
    { parent },
  );
}

/** Labels of the driver pods. */
export const driverSelector = (experiment: string) =>
  selectorOf({ instance: experiment, name: "driver", component: "workload" });

interface Parts {
  readonly secret: k8s.core.v1.Secret;
  readonly account: k8s.core.v1.ServiceAccount;
  readonly volume: k8s.core.v1.PersistentVolumeClaim;
}

function createDeployment(
  { name, args, labels, selector, parent }: Scope,
  { secret, account, volume }: Parts,
  dependsOn: pulumi.Resource[],
): k8s.apps.v1.Deployment {
  return new k8s.apps.v1.Deployment(
    `${name}-deployment`,
    {
      metadata: { name: conductorName, namespace: args.namespace.created, labels },
      spec: {
        replicas: 1,
        strategy: { type: "Recreate" }, // its volume belongs to one pod at a time
        selector: { matchLabels: selector },
        template: {
          metadata: { labels },
          spec: {
            serviceAccountName: account.metadata.name,
            automountServiceAccountToken: true,
            enableServiceLinks: false,
            securityContext: restrictedPod,
            terminationGracePeriodSeconds: 5,
            containers: [
              {
                name: "conductor",
                image: args.target.images("driver"),
                imagePullPolicy: "IfNotPresent",
                args: ["workloads/conductor.ts"],
                env: [
                  { name: "ORRERY_DATA_DIR", value: dataPath },
                  { name: "ORRERY_RUN_KEY_FILE", value: `${keyPath}/run-key` },
                  { name: "ORRERY_NAMESPACE", value: args.namespace.name },
                  { name: "ORRERY_HTTP_PORT", value: String(conductorPort) },
                  podNameVariable("POD_NAME"),
                  nodeNameVariable("NODE_NAME"),
                ],
                ports: [{ name: "http", containerPort: conductorPort }],
                resources: resources(0.05, 192 * 2 ** 20, 1),
                securityContext: restrictedContainer,
                ...httpProbes,
                volumeMounts: [
                  { name: "results", mountPath: dataPath },
                  { name: "key", mountPath: keyPath, readOnly: true },
                  { name: "tmp", mountPath: "/tmp" },
                ],
              },
            ],
            volumes: [
              { name: "results", persistentVolumeClaim: { claimName: volume.metadata.name } },
              { name: "key", secret: { secretName: secret.metadata.name, defaultMode: 0o440 } },
              { name: "tmp", emptyDir: {} },
            ],
          },
        },
      },
    },
    { parent, dependsOn },
  );
}
