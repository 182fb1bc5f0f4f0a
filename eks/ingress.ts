import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { restrictedContainer, restrictedPod, spreadOverNodes } from "../components/kubernetes/pod.ts";
import { type ClusterSettings, tagsOf } from "./settings.ts";

/** Name of the IngressClass, as target.ts says. */
export const ingressClass = "traefik";
const image = "docker.io/library/traefik:v3.7.13";
const name = "traefik";
const controller = "traefik.io/ingress-controller";
const ports = { web: 8000, websecure: 8443, probes: 8080 } as const;

export interface EksIngressArgs {
  readonly settings: ClusterSettings;
  /** Nodes to run on, without which nothing becomes ready. */
  readonly needed: readonly pulumi.Resource[];
}

/**
 * An ingress controller behind a network load balancer that lets in the address ranges of `ingressAccess` only.
 *
 * It creates: a Namespace, an account that may read Ingress objects and what they lead to, two Traefik pods with a
 * PodDisruptionBudget, an IngressClass and a Service of type LoadBalancer. Its deletion deletes the load balancer: the
 * Service goes while the nodes and the cloud controller are still there. Cost: see cost.ts.
 *
 * ```ts
 * new EksIngress("ingress", {settings, needed: [nodes]}, {provider: kubernetes});
 * ```
 */
export class EksIngress extends pulumi.ComponentResource {
  /** DNS name of the load balancer. */
  readonly host: pulumi.Output<string>;

  constructor(resource: string, args: EksIngressArgs, opts?: pulumi.ComponentResourceOptions) {
    super("orrery:eks:EksIngress", resource, {}, opts);
    const scope: Scope = { resource, ...args, options: { parent: this, dependsOn: [...args.needed] } };
    const namespace = new k8s.core.v1.Namespace(
      `${resource}-namespace`,
      {
        metadata: {
          name,
          labels: { "app.kubernetes.io/managed-by": "orrery", "pod-security.kubernetes.io/enforce": "restricted" },
        },
      },
      scope.options,
    ).metadata.name;
    const account = createAccount(scope, namespace);
    createController(scope, namespace, account);
    new k8s.networking.v1.IngressClass(
      `${resource}-class`,
      { metadata: { name: ingressClass }, spec: { controller } },
      scope.options,
    );
    this.host = createLoadBalancer(scope, namespace);
    this.registerOutputs({ host: this.host });
  }
}

interface Scope extends EksIngressArgs {
  readonly resource: string;
  readonly options: pulumi.CustomResourceOptions;
}

const labels = { "app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "orrery" };

/** Reads what routing needs, writes the address into the status of Ingress objects, and nothing else. */
function createAccount({ resource, options }: Scope, namespace: pulumi.Output<string>): pulumi.Output<string> {
  const account = new k8s.core.v1.ServiceAccount(
    `${resource}-account`,
    { metadata: { name, namespace, labels }, automountServiceAccountToken: false },
    options,
  );
  const read = ["get", "list", "watch"];
  const role = new k8s.rbac.v1.ClusterRole(
    `${resource}-role`,
    {
      metadata: { name, labels },
      rules: [
        { apiGroups: [""], resources: ["services", "secrets", "nodes"], verbs: read },
        { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: read },
        { apiGroups: ["networking.k8s.io"], resources: ["ingresses", "ingressclasses"], verbs: read },
        { apiGroups: ["networking.k8s.io"], resources: ["ingresses/status"], verbs: ["update"] },
      ],
    },
    options,
  );
  new k8s.rbac.v1.ClusterRoleBinding(
    `${resource}-binding`,
    {
      metadata: { name, labels },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role.metadata.name },
      subjects: [{ kind: "ServiceAccount", name: account.metadata.name, namespace }],
    },
    options,
  );
  return account.metadata.name;
}

function createController(
  { resource, options }: Scope,
  namespace: pulumi.Output<string>,
  account: pulumi.Output<string>,
): void {
  const args = [
    `--entrypoints.web.address=:${ports.web}`,
    `--entrypoints.websecure.address=:${ports.websecure}`,
    `--entrypoints.traefik.address=:${ports.probes}`,
    "--entrypoints.websecure.http.tls=true",
    "--providers.kubernetesingress=true",
    `--providers.kubernetesingress.ingressclass=${ingressClass}`,
    `--providers.kubernetesingress.ingressendpoint.publishedservice=${name}/${name}`,
    "--ping=true",
    "--global.checknewversion=false",
    "--global.sendanonymoususage=false",
  ];
  const probe = { httpGet: { path: "/ping", port: "probes" }, timeoutSeconds: 2 };
  new k8s.apps.v1.Deployment(
    `${resource}-controller`,
    {
      metadata: { name, namespace, labels },
      spec: {
        replicas: 2,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            serviceAccountName: account,
            automountServiceAccountToken: true,
            enableServiceLinks: false,
            securityContext: restrictedPod,
            topologySpreadConstraints: spreadOverNodes(labels),
            containers: [
              {
                name,
                image,
                args,
                ports: Object.entries(ports).map(([port, containerPort]) => ({ name: port, containerPort })),
                readinessProbe: { ...probe, periodSeconds: 5 },
                livenessProbe: { ...probe, periodSeconds: 10, initialDelaySeconds: 10 },
                resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "256Mi" } },
                securityContext: restrictedContainer,
              },
            ],
          },
        },
      },
    },
    options,
  );
  new k8s.policy.v1.PodDisruptionBudget(
    `${resource}-budget`,
    { metadata: { name, namespace, labels }, spec: { minAvailable: 1, selector: { matchLabels: labels } } },
    options,
  );
}

function createLoadBalancer(
  { resource, settings, options }: Scope,
  namespace: pulumi.Output<string>,
): pulumi.Output<string> {
  const annotation = (key: string) => `service.beta.kubernetes.io/aws-load-balancer-${key}`;
  const tags = Object.entries(tagsOf(settings)).map(([key, value]) => `${key}=${value}`);
  const service = new k8s.core.v1.Service(
    `${resource}-balancer`,
    {
      metadata: {
        name,
        namespace,
        labels,
        annotations: {
          [annotation("type")]: "nlb",
          [annotation("additional-resource-tags")]: tags.join(","), // the controller knows no default tags of Pulumi
        },
      },
      spec: {
        type: "LoadBalancer",
        externalTrafficPolicy: "Local",
        loadBalancerSourceRanges: settings.ingressAccess,
        selector: labels,
        ports: [
          { name: "web", port: 80, targetPort: "web" },
          { name: "websecure", port: 443, targetPort: "websecure" },
        ],
      },
    },
    options,
  );
  return service.status.apply((status) => status?.loadBalancer?.ingress?.[0]?.hostname ?? "");
}
