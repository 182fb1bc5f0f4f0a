import { createHash } from "node:crypto";
import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { formatBytes } from "../../schema/units.ts";
import type { ClusterTarget } from "../cluster-target.ts";
import { labelsOf, selectorOf } from "../kubernetes/labels.ts";
import type { NamespaceHandle } from "../kubernetes/namespace.ts";
import { allow, type PodTraffic } from "../kubernetes/network-policy.ts";
import { claimSpec, resources, restrictedContainer, restrictedPod } from "../kubernetes/pod.ts";
import { configPath, dataPath } from "./names.ts";

/** One program that watches: plain data, all that is needed to run it. */
export interface Part {
  /** Of its Service and StatefulSet; its pod is `<name>-0`. */
  readonly name: string;
  /** Name in images/table.ts. */
  readonly image: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Content by path below the folder of its configuration. */
  readonly files: Readonly<Record<string, string>>;
  readonly ports: Readonly<Record<string, number>>;
  /** Answers 200 when it serves. */
  readonly probe: { readonly path: string; readonly port: number };
  /** Cores and bytes. */
  readonly cpu: number;
  readonly memory: number;
  /** Bytes of its volume; without one its data goes with the pod. */
  readonly storage?: number;
}

/** Where a part is made. */
export interface PartScope {
  /** Resource names begin with it. */
  readonly name: string;
  /** Experiment name. */
  readonly instance: string;
  readonly namespace: NamespaceHandle;
  readonly target: ClusterTarget;
  /** The component, for what is cluster-wide. */
  readonly parent: pulumi.Resource;
  /** The component and the namespace, whose end is the end of all that is in it. */
  readonly inside: pulumi.CustomResourceOptions;
}

/** What a part may talk to, and the account it acts under; without an account it has no token. */
export interface PartRights extends Pick<PodTraffic, "ingress" | "egress"> {
  readonly account?: pulumi.Input<string>;
  readonly dependsOn?: readonly pulumi.Resource[];
}

/** Labels of a part's pod. */
export const partSelector = (instance: string, part: string) =>
  selectorOf({ instance, name: part, component: "observability" });

/**
 * Creates a part: its configuration, Service, NetworkPolicy and a StatefulSet of one pod. Four objects.
 *
 * @returns the StatefulSet: done means the part serves
 */
export function createPart(scope: PartScope, part: Part, rights: PartRights): k8s.apps.v1.StatefulSet {
  const { name, instance, namespace, inside } = scope;
  const labels = labelsOf({ instance, name: part.name, component: "observability" });
  const selector = partSelector(instance, part.name);
  const metadata = { name: part.name, namespace: namespace.created, labels };
  const config = new k8s.core.v1.ConfigMap(`${name}-${part.name}-config`, { metadata, data: flat(part.files) }, inside);
  const policy = allow(
    `${name}-${part.name}-traffic`,
    { namespace: namespace.created, labels, selector, ingress: rights.ingress, egress: rights.egress },
    inside,
  );
  const service = new k8s.core.v1.Service(
    `${name}-${part.name}-service`,
    {
      metadata: { ...metadata, annotations: { "pulumi.com/skipAwait": "true" } }, // the StatefulSet is awaited
      spec: { selector, ports: Object.entries(part.ports).map(([port, number]) => ({ name: port, port: number })) },
    },
    inside,
  );
  return new k8s.apps.v1.StatefulSet(
    `${name}-${part.name}`,
    {
      metadata,
      spec: {
        serviceName: service.metadata.name,
        replicas: 1,
        persistentVolumeClaimRetentionPolicy: { whenDeleted: "Delete", whenScaled: "Retain" },
        selector: { matchLabels: selector },
        template: {
          metadata: { labels, annotations: configAnnotation(part) },
          spec: podSpec(scope, part, rights, config),
        },
        ...(part.storage === undefined ? {} : { volumeClaimTemplates: [claim(scope.target, part.storage)] }),
      },
    },
    { ...inside, dependsOn: [policy, ...(rights.dependsOn ?? [])] },
  );
}

/** Another configuration is another pod: none of the parts reads its files again by itself. */
function configAnnotation({ files }: Part): Record<string, string> {
  const hash = createHash("sha256").update(JSON.stringify(files)).digest("hex").slice(0, 12);
  return { "orrery.dev/configuration": hash };
}

function podSpec(
  { target }: PartScope,
  part: Part,
  rights: PartRights,
  config: k8s.core.v1.ConfigMap,
): k8s.types.input.core.v1.PodSpec {
  return {
    ...(rights.account === undefined ? {} : { serviceAccountName: rights.account }),
    automountServiceAccountToken: rights.account !== undefined,
    enableServiceLinks: false,
    securityContext: restrictedPod,
    terminationGracePeriodSeconds: 10,
    containers: [container(target, part)],
    volumes: [
      { name: "config", configMap: { name: config.metadata.name, items: items(part.files) } },
      { name: "tmp", emptyDir: {} },
      ...(part.storage === undefined ? [{ name: "data", emptyDir: { sizeLimit: "256Mi" } }] : []),
    ],
  };
}

function container(target: ClusterTarget, part: Part): k8s.types.input.core.v1.Container {
  const httpGet = part.probe;
  return {
    name: part.name,
    image: target.images(part.image),
    imagePullPolicy: "IfNotPresent",
    args: [...part.args],
    env: Object.entries(part.environment).map(([variable, value]) => ({ name: variable, value })),
    ports: Object.entries(part.ports).map(([port, number]) => ({ name: port, containerPort: number })),
    resources: resources(part.cpu, part.memory, Math.max(1, part.cpu * 2)),
    securityContext: restrictedContainer,
    readinessProbe: { httpGet, periodSeconds: 1, timeoutSeconds: 2 },
    livenessProbe: { httpGet, initialDelaySeconds: 30, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
    volumeMounts: [
      { name: "config", mountPath: configPath, readOnly: true },
      { name: "data", mountPath: dataPath },
      { name: "tmp", mountPath: "/tmp" },
    ],
  };
}

function claim(target: ClusterTarget, bytes: number): k8s.types.input.core.v1.PersistentVolumeClaim {
  return {
    metadata: { name: "data" },
    spec: claimSpec(formatBytes(bytes), target.storageClass),
  };
}

/** Keys of a ConfigMap hold no slash: `a/b` is kept as `a.b` and mounted as `a/b`. */
const keyOf = (path: string): string => path.replaceAll("/", ".");
const flat = (files: Part["files"]) =>
  Object.fromEntries(Object.entries(files).map(([path, text]) => [keyOf(path), text]));
const items = (files: Part["files"]) => Object.keys(files).map((path) => ({ key: keyOf(path), path }));
