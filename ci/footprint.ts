import { quantityToScalar } from "@kubernetes/client-node/dist/util.js";
import type { Footprint } from "../schema/preview.ts";
import type { RenderedResource } from "../stacks/render.ts";

interface Requests {
  readonly cpu: number;
  readonly memory: number;
}

interface ContainerSpec {
  readonly resources?: { readonly requests?: Readonly<Record<string, string>> };
  readonly restartPolicy?: string;
}

interface WorkloadSpec {
  readonly replicas?: number;
  readonly parallelism?: number;
  readonly template?: {
    readonly spec?: { readonly containers?: ContainerSpec[]; readonly initContainers?: ContainerSpec[] };
  };
  readonly volumeClaimTemplates?: { readonly spec?: ClaimSpec }[];
}

interface ClaimSpec {
  readonly resources?: { readonly requests?: Readonly<Record<string, string>> };
}

/** What the Kubernetes objects of a graph request once all of them run. */
export function footprintOf(graph: readonly RenderedResource[]): Footprint {
  const objects = graph.filter((resource) => resource.type.startsWith("kubernetes:"));
  const total = { objects: objects.length, pods: 0, cpu: 0, memory: 0, storage: 0 };
  for (const { inputs } of objects) {
    const spec = (inputs.spec ?? {}) as WorkloadSpec & ClaimSpec;
    const pods = podsOf(String(inputs.kind), spec);
    const each = podRequests(spec);
    total.pods += pods;
    total.cpu += pods * each.cpu;
    total.memory += pods * each.memory;
    for (const claim of spec.volumeClaimTemplates ?? []) {
      total.storage += pods * quantity(claim.spec?.resources?.requests?.storage);
    }
    if (inputs.kind === "PersistentVolumeClaim") {
      total.storage += quantity(spec.resources?.requests?.storage);
    }
  }
  return total;
}

function podsOf(kind: string, spec: WorkloadSpec): number {
  switch (kind) {
    case "StatefulSet":
    case "Deployment":
      return spec.replicas ?? 1;
    case "Job":
      return spec.parallelism ?? 1;
    default:
      return 0;
  }
}

/** A pod is scheduled by the larger of its containers together and of any one of its init containers. */
function podRequests(spec: WorkloadSpec): Requests {
  const containers = spec.template?.spec?.containers ?? [];
  const init = spec.template?.spec?.initContainers ?? [];
  const together = sum([...containers, ...init.filter((one) => one.restartPolicy === "Always")].map(requestsOf));
  return init
    .filter((one) => one.restartPolicy !== "Always")
    .map(requestsOf)
    .reduce((most, one) => ({ cpu: Math.max(most.cpu, one.cpu), memory: Math.max(most.memory, one.memory) }), together);
}

const requestsOf = ({ resources }: ContainerSpec): Requests => ({
  cpu: quantity(resources?.requests?.cpu),
  memory: quantity(resources?.requests?.memory),
});

const sum = (all: readonly Requests[]) =>
  all.reduce((total, one) => ({ cpu: total.cpu + one.cpu, memory: total.memory + one.memory }), { cpu: 0, memory: 0 });

const quantity = (text: string | undefined) => (text === undefined ? 0 : Number(quantityToScalar(text)));
