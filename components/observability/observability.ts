import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Observe } from "../../schema/observe.ts";
import type { ClusterTarget } from "../cluster-target.ts";
import { labelsOf } from "../kubernetes/labels.ts";
import type { NamespaceHandle } from "../kubernetes/namespace.ts";
import { addresses, allow, pods, tcp, toDns } from "../kubernetes/network-policy.ts";
import type { NetworkHandle, ScrapeTarget } from "../network-handle.ts";
import type { TelemetryHandle } from "../telemetry.ts";
import { partNames, ports, type ScrapeJob } from "./names.ts";
import { createPart, type PartScope, partSelector } from "./part.ts";
import { isObserved, planCollector, planGrafana, planJaeger, planPrometheus } from "./plan.ts";

export interface ObservabilityArgs {
  /** Experiment it watches; its name is the instance label. */
  readonly experiment: string;
  readonly observe: Observe;
  readonly namespace: NamespaceHandle;
  readonly target: ClusterTarget;
}

const kubeletPort = 10_250;

/**
 * What watches a run: an OpenTelemetry collector, Jaeger for traces, Prometheus for metrics and Grafana over it, as
 * far as the experiment asks for them. Nothing at all when it asks for none.
 *
 * It creates: per part a StatefulSet of one pod, its configuration, Service and NetworkPolicy; for Prometheus besides
 * an account, the rights to see nodes and to read their metrics (five objects) and one NetworkPolicy for each kind of pod it reads. The count does not
 * depend on the number of members. Cost: Prometheus 0.1 cores, 512 MiB; collector 0.05 cores, 256 MiB; Jaeger
 * 0.1 cores, 768 MiB; Grafana 0.1 cores, 256 MiB; a volume of `observe.storage` for Prometheus and for Jaeger.
 *
 * ```ts
 * const watching = new Observability("observability", {experiment: "kv", observe, namespace, target}, {provider});
 * watching.telemetry?.endpoint; // http://otel-collector.orrery-kv.svc.cluster.local:4318
 * watching.scrape(network, conductor);
 * ```
 */
export class Observability extends pulumi.ComponentResource {
  /** Where telemetry is sent to; absent when nothing watches. */
  readonly telemetry: TelemetryHandle | undefined;
  readonly #args: ObservabilityArgs;
  readonly #scope: PartScope;
  readonly #ready: pulumi.Resource[] = [];

  constructor(name: string, args: ObservabilityArgs, opts?: pulumi.ComponentResourceOptions) {
    super("orrery:observability:Observability", name, {}, opts);
    this.#args = args;
    this.#scope = {
      name,
      instance: args.experiment,
      namespace: args.namespace,
      target: args.target,
      parent: this,
      inside: { parent: this, deletedWith: args.namespace.resource },
    };
    if (args.observe.traces !== undefined) this.#ready.push(createJaeger(this.#scope, args.observe));
    if (isObserved(args.observe)) this.#ready.push(createCollector(this.#scope, args.observe));
    this.telemetry = isObserved(args.observe) ? telemetryOf(args) : undefined;
    createIngress(this.#scope, args.observe);
    this.registerOutputs({ endpoint: this.telemetry?.endpoint });
  }

  /** What to wait for before a run starts. */
  get ready(): readonly pulumi.Resource[] {
    return this.#ready;
  }

  /** Has Prometheus read the network, the conductor, the collector and the kubelets; nothing without Prometheus. */
  scrape(network: Pick<NetworkHandle, "system" | "scrapeTargets">, conductor: Conductor): void {
    const { observe, experiment } = this.#args;
    if (!observe.prometheus) return;
    const jobs: ScrapeJob[] = [
      ...network.scrapeTargets.map((target, index) => ({ ...target, name: jobName(network.system, index) })),
      { ...conductor.scrapeTarget, name: "conductor" },
      ...ownJobs(experiment),
    ];
    for (const job of jobs) letRead(this.#scope, job);
    this.#ready.push(createPrometheus(this.#scope, observe, jobs, conductor));
    if (observe.grafana) this.#ready.push(createGrafana(this.#scope, observe));
  }
}

/** What names and reads the nodes' list; the conductor, as far as it matters here. */
interface Conductor {
  readonly url: string;
  readonly account: pulumi.Output<string>;
  readonly scrapeTarget: ScrapeTarget;
}

const jobName = (system: string, index: number): string => (index === 0 ? system : `${system}-${index}`);

function telemetryOf({ experiment, namespace, observe }: ObservabilityArgs): TelemetryHandle {
  return {
    endpoint: pulumi.output(`http://${partNames.collector}.${namespace.name}.svc.cluster.local:${ports.otlpHttp}`),
    sampleRatio: observe.traces?.sample ?? 0,
    port: ports.otlpHttp,
    podSelector: partSelector(experiment, partNames.collector),
  };
}

/** The collector twice: what it says of itself, and what drivers and members have sent it. */
function ownJobs(experiment: string): ScrapeJob[] {
  const pod = {
    selector: partSelector(experiment, partNames.collector),
    service: partNames.collector,
    path: "/metrics",
  };
  return [
    { ...pod, name: "collector", portName: "metrics", port: ports.collectorMetrics },
    { ...pod, name: "telemetry", portName: "sent", port: ports.sentMetrics, honorLabels: true },
  ];
}

/** Who may open a part's pages: the API server's proxy and, where there is an ingress, whatever serves it. */
function viewers({ target }: PartScope, observe: Observe) {
  const ingress = observe.ingress !== undefined && target.ingressClass !== undefined;
  return [addresses(target.apiServerCidr), ...(ingress ? [{ namespaceSelector: {} }] : [])];
}

function createJaeger(scope: PartScope, observe: Observe): pulumi.Resource {
  const collector = partSelector(scope.instance, partNames.collector);
  return createPart(scope, planJaeger(observe), {
    ingress: [
      { from: [pods(collector)], ports: tcp(ports.otlpGrpc) },
      { from: viewers(scope, observe), ports: tcp(ports.jaeger) },
    ],
    egress: [],
  });
}

/** Every pod of the experiment may send to the collector. */
function createCollector(scope: PartScope, observe: Observe): pulumi.Resource {
  const prometheus = partSelector(scope.instance, partNames.prometheus);
  const jaeger = partSelector(scope.instance, partNames.jaeger);
  return createPart(scope, planCollector(observe), {
    ingress: [
      { from: [{ podSelector: {} }], ports: tcp(ports.otlpGrpc, ports.otlpHttp) },
      ...(observe.prometheus
        ? [{ from: [pods(prometheus)], ports: tcp(ports.collectorMetrics, ports.sentMetrics) }]
        : []),
    ],
    egress: observe.traces === undefined ? [] : [toDns, { to: [pods(jaeger)], ports: tcp(ports.otlpGrpc) }],
  });
}

/** Lets Prometheus read the pods of a job; what else they may do is their own component's matter. */
function letRead({ name, instance, namespace, inside }: PartScope, job: ScrapeJob): void {
  const labels = labelsOf({ instance, name: partNames.prometheus, component: "observability" });
  const prometheus = partSelector(instance, partNames.prometheus);
  allow(
    `${name}-read-${job.name}`,
    {
      namespace: namespace.created,
      labels,
      selector: { ...job.selector },
      ingress: [{ from: [pods(prometheus)], ports: tcp(job.port) }],
      egress: [],
    },
    inside,
  );
}

function createPrometheus(
  scope: PartScope,
  observe: Observe,
  jobs: readonly ScrapeJob[],
  conductor: Conductor,
): pulumi.Resource {
  const { instance, namespace } = scope;
  const grafana = partSelector(instance, partNames.grafana);
  const { account, rights } = createAccount(scope, conductor);
  return createPart(scope, planPrometheus(observe, namespace.name, jobs, `${conductor.url}/v1/nodes`), {
    account,
    dependsOn: rights,
    ingress: [
      { from: viewers(scope, observe), ports: tcp(ports.prometheus) },
      ...(observe.grafana ? [{ from: [pods(grafana)], ports: tcp(ports.prometheus) }] : []),
    ],
    egress: [
      toDns,
      { ports: tcp(kubeletPort) }, // the nodes, whose addresses nobody knows beforehand
      ...jobs.map((job) => ({ to: [pods({ ...job.selector })], ports: tcp(job.port) })),
    ],
  });
}

/**
 * The account of Prometheus may read the nodes' metrics, and the conductor's may list the nodes. Neither has
 * `nodes/proxy`, with which one can run commands in every pod of a node. What is cluster-wide is named after the
 * namespace, so that two experiments do not share it.
 */
function createAccount(
  scope: PartScope,
  conductor: Conductor,
): { account: pulumi.Output<string>; rights: pulumi.Resource[] } {
  const { name, instance, namespace, inside } = scope;
  const labels = labelsOf({ instance, name: partNames.prometheus, component: "observability" });
  const account = new k8s.core.v1.ServiceAccount(
    `${name}-prometheus-account`,
    {
      metadata: { name: partNames.prometheus, namespace: namespace.created, labels },
      automountServiceAccountToken: false,
    },
    inside,
  );
  const reader = { apiGroups: [""], resources: ["nodes/metrics"], verbs: ["get"] };
  const lister = { apiGroups: [""], resources: ["nodes"], verbs: ["get", "list"] };
  return {
    account: account.metadata.name,
    rights: [
      grant(scope, "metrics-reader", labels, reader, account.metadata.name),
      grant(scope, "node-lister", labels, lister, conductor.account),
    ],
  };
}

/** A right that holds in the whole cluster, for one account of the namespace. */
function grant(
  { name, namespace, parent }: PartScope,
  right: string,
  labels: Record<string, string>,
  rule: k8s.types.input.rbac.v1.PolicyRule,
  account: pulumi.Output<string>,
): pulumi.Resource {
  const metadata = { name: `${namespace.name}-${right}`, labels };
  const role = new k8s.rbac.v1.ClusterRole(`${name}-${right}`, { metadata, rules: [rule] }, { parent });
  return new k8s.rbac.v1.ClusterRoleBinding(
    `${name}-${right}-binding`,
    {
      metadata,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role.metadata.name },
      subjects: [{ kind: "ServiceAccount", name: account, namespace: namespace.created }],
    },
    { parent },
  );
}

/** The pages by name below the domain of the experiment, where the cluster has something that serves Ingresses. */
function createIngress({ name, instance, namespace, target, inside }: PartScope, observe: Observe): void {
  const { ingress: domain } = observe;
  const pages = [
    ...(observe.prometheus ? (["prometheus"] as const) : []),
    ...(observe.traces === undefined ? [] : (["jaeger"] as const)),
    ...(observe.grafana ? (["grafana"] as const) : []),
  ];
  if (domain === undefined || target.ingressClass === undefined || pages.length === 0) return;
  new k8s.networking.v1.Ingress(
    `${name}-pages`,
    {
      metadata: {
        name: "observability",
        namespace: namespace.created,
        labels: labelsOf({ instance, name: "pages", component: "observability" }),
        annotations: { "pulumi.com/skipAwait": "true" }, // an address may take minutes, and no run needs one
      },
      spec: {
        ingressClassName: target.ingressClass,
        rules: pages.map((page) => ({
          host: `${page}.${domain}`,
          http: {
            paths: [
              {
                path: "/",
                pathType: "Prefix",
                backend: { service: { name: partNames[page], port: { number: ports[page] } } },
              },
            ],
          },
        })),
      },
    },
    inside,
  );
}

function createGrafana(scope: PartScope, observe: Observe): pulumi.Resource {
  const prometheus = partSelector(scope.instance, partNames.prometheus);
  return createPart(scope, planGrafana(scope.namespace.name), {
    ingress: [{ from: viewers(scope, observe), ports: tcp(ports.grafana) }],
    egress: [toDns, { to: [pods(prometheus)], ports: tcp(ports.prometheus) }],
  });
}
