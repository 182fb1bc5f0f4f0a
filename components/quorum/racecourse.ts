import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { RacecourseSection } from "../../schema/systems/quorum-racecourse.ts";
import { labelsOf, selectorOf } from "../kubernetes/labels.ts";
import { addresses, allow, pods, tcp, toDns } from "../kubernetes/network-policy.ts";
import { httpProbes, resources, restrictedContainer, restrictedPod, spreadOverNodes } from "../kubernetes/pod.ts";
import { ports } from "./plan.ts";
import { racecourseName, racecoursePort } from "./racecourse-names.ts";
import type { Group, Scope } from "./scope.ts";

const accountsPath = "/run/orrery/accounts";

/** What the web app's parts are made with. */
interface WebScope extends Scope, Group {
  readonly web: RacecourseSection;
  readonly nodes: Group;
}

/**
 * The web app of a quorum network, as seed document and issue have it: a Deployment, its Service, an Ingress where the
 * target serves any, the Secret its accounts are derived from, and NetworkPolicies that let it reach the nodes.
 *
 * @returns What to wait for: done means that the page is served and its contract is on the chain
 */
export function createRacecourse(scope: Scope, nodes: Group, web: RacecourseSection): k8s.apps.v1.Deployment {
  const owner = { instance: scope.args.experiment, name: racecourseName, component: "web" };
  const parts: WebScope = { ...scope, web, nodes, labels: labelsOf(owner), selector: selectorOf(owner) };
  const accounts = createAccounts(parts);
  createService(parts);
  createIngress(parts);
  createPolicies(parts);
  if (web.replicas > 1) createDisruptionBudget(parts);
  return createDeployment(parts, accounts);
}

function metadataOf({ args, labels }: WebScope, name: string = racecourseName) {
  return { name, namespace: args.namespace.created, labels };
}

function createAccounts(scope: WebScope): k8s.core.v1.Secret {
  return new k8s.core.v1.Secret(
    `${scope.name}-racecourse-accounts`,
    {
      metadata: metadataOf(scope, `${racecourseName}-accounts`),
      stringData: { "group-key": pulumi.secret(scope.keys.racecourse) },
    },
    { parent: scope.parent },
  );
}

function createService(scope: WebScope): void {
  const { name, parent, selector } = scope;
  new k8s.core.v1.Service(
    `${name}-racecourse-service`,
    {
      metadata: {
        ...metadataOf(scope),
        annotations: { "pulumi.com/skipAwait": "true" }, // the Deployment is awaited; one wait is enough
      },
      spec: { selector, ports: [{ name: "http", port: racecoursePort, targetPort: "http" }] },
    },
    { parent },
  );
}

/** None where nothing would serve it; `orrery open racecourse` leads to the page on any target. */
function createIngress(scope: WebScope): void {
  const { name, args, parent, web } = scope;
  const { ingressClass } = args.target;
  if (ingressClass === undefined) {
    const reason = `the target ${args.target.name} has no ingress class: the racecourse has no Ingress`;
    pulumi.log.warn(`${reason}. \`orrery open racecourse\` opens it.`, parent);
    return;
  }
  const host = web.host === undefined ? {} : { host: web.host };
  const backend = { service: { name: racecourseName, port: { name: "http" } } };
  new k8s.networking.v1.Ingress(
    `${name}-racecourse-ingress`,
    {
      metadata: {
        ...metadataOf(scope),
        annotations: { "pulumi.com/skipAwait": "true" }, // an address may take minutes, and no run needs one
      },
      spec: {
        ingressClassName: ingressClass,
        rules: [{ ...host, http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }],
        ...(web.tls === undefined || web.host === undefined
          ? {}
          : {
              tls: [{ hosts: [web.host], ...(web.tls.secret === undefined ? {} : { secretName: web.tls.secret }) }],
            }),
      },
    },
    { parent },
  );
}

/** Browsers come through whatever serves Ingresses, wherever that runs. */
function createPolicies(scope: WebScope): void {
  const { name, args, labels, selector, nodes, parent } = scope;
  const { target } = args;
  const viewers = target.ingressClass === undefined ? [] : [{ namespaceSelector: {} }];
  allow(
    `${name}-racecourse-traffic`,
    {
      namespace: args.namespace.created,
      labels,
      selector,
      ingress: [{ from: [addresses(target.apiServerCidr), ...viewers], ports: tcp(racecoursePort) }],
      egress: [toDns, { to: [pods(nodes.selector)], ports: tcp(ports.rpc) }],
    },
    { parent },
  );
  allow(
    `${name}-racecourse-to-nodes`,
    {
      namespace: args.namespace.created,
      labels: nodes.labels,
      selector: nodes.selector,
      ingress: [{ from: [pods(selector)], ports: tcp(ports.rpc) }],
      egress: [],
    },
    { parent },
  );
}

function createDisruptionBudget(scope: WebScope): void {
  new k8s.policy.v1.PodDisruptionBudget(
    `${scope.name}-racecourse-budget`,
    { metadata: metadataOf(scope), spec: { maxUnavailable: 1, selector: { matchLabels: scope.selector } } },
    { parent: scope.parent },
  );
}

function createDeployment(scope: WebScope, accounts: k8s.core.v1.Secret): k8s.apps.v1.Deployment {
  const { name, labels, selector, parent, web } = scope;
  return new k8s.apps.v1.Deployment(
    `${name}-racecourse`,
    {
      metadata: metadataOf(scope),
      spec: {
        replicas: web.replicas,
        selector: { matchLabels: selector },
        template: {
          metadata: { labels },
          spec: {
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            securityContext: restrictedPod,
            terminationGracePeriodSeconds: 10,
            topologySpreadConstraints: spreadOverNodes(selector),
            containers: [container(scope)],
            volumes: [{ name: "accounts", secret: { secretName: accounts.metadata.name, defaultMode: 0o440 } }],
          },
        },
      },
    },
    { parent },
  );
}

function container({ args, plan, web }: WebScope): k8s.types.input.core.v1.Container {
  return {
    name: racecourseName,
    image: args.target.images("racecourse"),
    imagePullPolicy: "IfNotPresent",
    env: [
      { name: "RACECOURSE_NODES", value: plan.members.map(({ host }) => `http://${host}:${ports.rpc}`).join(" ") },
      { name: "RACECOURSE_KEY_FILE", value: `${accountsPath}/group-key` },
      { name: "RACECOURSE_PLAYERS", value: String(web.players) },
      { name: "RACECOURSE_HTTP_PORT", value: String(racecoursePort) },
    ],
    ports: [{ name: "http", containerPort: racecoursePort }],
    resources: resources(0.05, 160 * 2 ** 20, 1),
    securityContext: restrictedContainer,
    ...httpProbes,
    volumeMounts: [{ name: "accounts", mountPath: accountsPath, readOnly: true }],
  };
}
