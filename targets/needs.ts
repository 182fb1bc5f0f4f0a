import { quantityToScalar } from "@kubernetes/client-node/dist/util.js";
import type { Needs, PodNeed } from "./capacity.ts";

/** A rendered Pulumi resource, as far as it matters here. */
export interface GraphObject {
  readonly type: string;
  readonly inputs: Readonly<Record<string, unknown>>;
}

export interface Container {
  readonly image?: string;
  readonly restartPolicy?: string;
  readonly resources?: { readonly requests?: Readonly<Record<string, string>> };
}

export interface PodSpec {
  readonly containers?: readonly Container[];
  readonly initContainers?: readonly Container[];
}

interface Claim {
  readonly storageClassName?: string;
  readonly resources?: { readonly requests?: Readonly<Record<string, string>> };
}

interface WorkloadSpec extends Claim {
  readonly replicas?: number;
  readonly parallelism?: number;
  readonly template?: { readonly spec?: PodSpec };
  readonly volumeClaimTemplates?: readonly { readonly spec?: Claim }[];
}

/** What the Kubernetes objects of a rendered graph ask of a cluster once all run. */
export function needsOf(graph: readonly GraphObject[]): Needs {
  const objects = graph.filter((resource) => resource.type.startsWith("kubernetes:")).map(({ inputs }) => inputs);
  const claims: Claim[] = [];
  const images = new Set<string>();
  const pods: PodNeed[] = [];
  for (const object of objects) {
    const spec = (object.spec ?? {}) as WorkloadSpec;
    const templates = (spec.volumeClaimTemplates ?? []).map((template) => template.spec ?? {});
    claims.push(...templates, ...(object.kind === "PersistentVolumeClaim" ? [spec] : []));
    const template = spec.template?.spec;
    if (template === undefined) continue;
    for (const container of [...(template.containers ?? []), ...(template.initContainers ?? [])]) {
      if (container.image !== undefined) images.add(container.image);
    }
    const one = {
      workload: nameOf(object),
      ...requestsOf(template),
      volumes: templates.map(claimSize),
      containers: [...(template.containers ?? []), ...(template.initContainers ?? [])].map(requestOf),
    };
    pods.push(...Array.from({ length: copies(String(object.kind), spec) }, () => one));
  }
  const standing = objects.filter((object) => object.kind === "PersistentVolumeClaim");
  return {
    pods,
    volumes: [...pods.flatMap((pod) => pod.volumes), ...standing.map(({ spec }) => claimSize((spec ?? {}) as Claim))],
    kinds: [...new Set(objects.map((object) => `${String(object.apiVersion)} ${String(object.kind)}`))],
    storageClasses: [...new Set(claims.map((claim) => claim.storageClassName ?? ""))],
    images: [...images],
  };
}

function nameOf(object: Readonly<Record<string, unknown>>): string {
  const metadata = object.metadata as { readonly name?: string } | undefined;
  return `${String(object.kind)} ${metadata?.name ?? ""}`.trim();
}

function copies(kind: string, spec: WorkloadSpec): number {
  if (kind === "StatefulSet" || kind === "Deployment") return spec.replicas ?? 1;
  return kind === "Job" ? (spec.parallelism ?? 1) : 0;
}

/**
 * Cores and bytes the scheduler reserves for a pod: its containers and sidecars together, or one init container where
 * that is more.
 */
export function requestsOf(spec: PodSpec): { readonly cpu: number; readonly memory: number } {
  const init = spec.initContainers ?? [];
  const lasting = [...(spec.containers ?? []), ...init.filter((one) => one.restartPolicy === "Always")];
  const passing = init.filter((one) => one.restartPolicy !== "Always");
  const of = (resource: "cpu" | "memory") =>
    Math.max(
      lasting.reduce((sum, one) => sum + amount(one.resources?.requests?.[resource]), 0),
      ...passing.map((one) => amount(one.resources?.requests?.[resource])),
    );
  return { cpu: of("cpu"), memory: of("memory") };
}

const requestOf = ({ resources }: Container) => ({
  cpu: amount(resources?.requests?.cpu),
  memory: amount(resources?.requests?.memory),
});

/** Bytes a volume claim asks for. */
const claimSize = (claim: Claim): number => amount(claim.resources?.requests?.storage);

/** A Kubernetes quantity as a number; 0 where there is none. */
export function amount(quantity: string | undefined): number {
  return quantity === undefined ? 0 : Number(quantityToScalar(quantity));
}
