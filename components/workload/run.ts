import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Experiment } from "../../schema/experiment.ts";
import type { ClusterTarget } from "../cluster-target.ts";
import { ConfigError } from "../kubernetes/config-error.ts";
import { runToken } from "../kubernetes/identity.ts";
import { labelsOf, selectorOf } from "../kubernetes/labels.ts";
import type { NamespaceHandle } from "../kubernetes/namespace.ts";
import { allow, pods, tcp, toDns } from "../kubernetes/network-policy.ts";
import { nodeNameVariable, podNameVariable, resources, restrictedContainer, restrictedPod } from "../kubernetes/pod.ts";
import type { NetworkHandle } from "../network-handle.ts";
import { type TelemetryHandle, telemetryVariables, toCollector } from "../telemetry.ts";
import { type Conductor, conductorPort, conductorSelector } from "./conductor.ts";
import { planRun, runDeadlineSeconds } from "./plan.ts";

export interface WorkloadRunArgs {
  readonly experiment: Experiment;
  /** Run id: lower-case letters, digits and dashes. */
  readonly run: string;
  readonly namespace: NamespaceHandle;
  readonly target: ClusterTarget;
  readonly network: NetworkHandle;
  readonly conductor: Conductor;
  /** Where drivers send telemetry, if anywhere, and what has to serve before they start. */
  readonly watching: { readonly telemetry: TelemetryHandle | undefined; readonly ready: readonly pulumi.Resource[] };
}

const specPath = "/etc/orrery";
const tokenPath = "/run/orrery/token";
const credentialsPath = "/run/orrery/credentials";

/**
 * One run of an experiment's workload: an Indexed Job whose workers start together and deliver their results to the
 * conductor. A new run id replaces these objects and nothing else.
 *
 * It creates: the run spec, the run token, a NetworkPolicy and the Job. Four objects for any number of workers.
 * Cost: per worker 0.2 cores requested, at most 2, and 512 MiB.
 *
 * ```ts
 * new WorkloadRun("run", {experiment, run: "20261121-101500", namespace, target, network: network.handle, conductor});
 * ```
 */
export class WorkloadRun extends pulumi.ComponentResource {
  constructor(name: string, args: WorkloadRunArgs, opts?: pulumi.ComponentResourceOptions) {
    super("orrery:workload:WorkloadRun", name, {}, opts);
    if (!/^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$/.test(args.run)) {
      throw new ConfigError(
        name,
        "run",
        args.run,
        "not a run id.",
        "Use 1 to 48 lower-case letters, digits and dashes.",
      );
    }
    const owner = { instance: args.experiment.name, name: "driver", component: "workload" };
    const scope: Scope = { name, args, labels: labelsOf(owner, args.run), selector: selectorOf(owner), parent: this };
    const spec = createSpec(scope);
    const token = createToken(scope);
    const policy = createPolicy(scope);
    createJob(scope, { spec, token, policy });
    this.registerOutputs({ run: args.run });
  }
}

interface Scope {
  readonly name: string;
  readonly args: WorkloadRunArgs;
  readonly labels: Record<string, string>;
  readonly selector: Record<string, string>;
  readonly parent: pulumi.Resource;
}

function createSpec({ name, args, labels, parent }: Scope): k8s.core.v1.ConfigMap {
  const { telemetry } = args.watching;
  const places = pulumi.all([args.network.endpoints, telemetry?.endpoint]);
  const document = places.apply(([endpoints, endpoint]) => {
    const place = {
      namespace: args.namespace.name,
      endpoints,
      podSelector: args.network.podSelector,
      crash: args.network.crash,
      pause: args.network.pause,
      conductorUrl: args.conductor.url,
      telemetry:
        telemetry === undefined || endpoint === undefined
          ? undefined
          : { endpoint, sampleRatio: telemetry.sampleRatio },
    };
    return `${JSON.stringify(planRun(args.experiment, args.run, place), null, 2)}\n`;
  });
  return new k8s.core.v1.ConfigMap(
    `${name}-spec`,
    {
      metadata: { name: `run-${args.run}`, namespace: args.namespace.created, labels },
      immutable: true,
      data: { "spec.json": document },
    },
    { parent },
  );
}

function createToken({ name, args, labels, parent }: Scope): k8s.core.v1.Secret {
  const token = args.conductor.key.apply((key) => runToken(key, args.run));
  return new k8s.core.v1.Secret(
    `${name}-token`,
    {
      metadata: { name: `run-${args.run}-token`, namespace: args.namespace.created, labels },
      immutable: true,
      stringData: { token: pulumi.secret(token) },
    },
    { parent },
  );
}

function createPolicy({ name, args, labels, selector, parent }: Scope): k8s.networking.v1.NetworkPolicy {
  return allow(
    `${name}-traffic`,
    {
      namespace: args.namespace.created,
      labels,
      selector,
      ingress: [],
      egress: [
        toDns,
        { to: [pods(args.network.podSelector)], ports: tcp(...args.network.servicePorts) },
        { to: [pods(conductorSelector(args.experiment.name))], ports: tcp(conductorPort) },
        ...toCollector(args.watching.telemetry),
      ],
    },
    { parent },
  );
}

interface Parts {
  readonly spec: k8s.core.v1.ConfigMap;
  readonly token: k8s.core.v1.Secret;
  readonly policy: pulumi.Resource;
}

function createJob({ name, args, labels, parent }: Scope, { spec, token, policy }: Parts): k8s.batch.v1.Job {
  const { workers } = args.experiment.workload;
  const { credentials } = args.network;
  const deadline = runDeadlineSeconds(args.experiment);
  return new k8s.batch.v1.Job(
    `${name}-driver`,
    {
      metadata: { name: `run-${args.run}`, namespace: args.namespace.created, labels },
      spec: {
        completionMode: "Indexed",
        completions: workers,
        parallelism: workers,
        backoffLimit: 0, // a restarted worker would have lost its part of the schedule
        activeDeadlineSeconds: deadline,
        template: {
          metadata: { labels },
          spec: {
            restartPolicy: "Never",
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            securityContext: restrictedPod,
            terminationGracePeriodSeconds: 30,
            containers: [driverContainer(args)],
            volumes: [
              { name: "spec", configMap: { name: spec.metadata.name } },
              { name: "token", secret: { secretName: token.metadata.name, defaultMode: 0o440 } },
              { name: "tmp", emptyDir: {} },
              ...(credentials === undefined
                ? []
                : [{ name: "credentials", secret: { secretName: credentials, defaultMode: 0o440 } }]),
            ],
          },
        },
      },
    },
    {
      parent,
      dependsOn: [policy, ...args.network.ready, args.conductor.ready, ...args.watching.ready],
      customTimeouts: { create: `${deadline + 60}s` },
    },
  );
}

function driverContainer(args: WorkloadRunArgs): k8s.types.input.core.v1.Container {
  const { credentials } = args.network;
  return {
    name: "driver",
    image: args.target.images("driver"),
    imagePullPolicy: "IfNotPresent",
    args: ["workloads/driver.ts"],
    env: [
      { name: "ORRERY_RUN_SPEC", value: `${specPath}/spec.json` },
      { name: "ORRERY_RUN_TOKEN_FILE", value: `${tokenPath}/token` },
      podNameVariable("POD_NAME"),
      nodeNameVariable("NODE_NAME"),
      ...(credentials === undefined ? [] : [{ name: "ORRERY_CREDENTIALS", value: credentialsPath }]),
      ...telemetryVariables(args.watching.telemetry, "orrery-driver"),
    ],
    resources: resources(0.2, 512 * 2 ** 20, 2),
    securityContext: restrictedContainer,
    volumeMounts: [
      { name: "spec", mountPath: specPath, readOnly: true },
      { name: "token", mountPath: tokenPath, readOnly: true },
      { name: "tmp", mountPath: "/tmp" },
      ...(credentials === undefined ? [] : [{ name: "credentials", mountPath: credentialsPath, readOnly: true }]),
    ],
  };
}
