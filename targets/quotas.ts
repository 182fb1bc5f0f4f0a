/** What is asked for, as far as it is limited: cores, bytes and bytes of volumes. */
interface Requests {
  readonly pods: readonly (Amounts & { readonly containers: readonly Amounts[] })[];
  readonly volumes: readonly number[];
}

interface Amounts {
  readonly cpu: number;
  readonly memory: number;
}

/** One number that a namespace does not let its objects exceed. */
export interface NamespaceLimit {
  /** Kind and name of the object that says so. */
  readonly source: string;
  /** Whether it counts for all objects together or for each. */
  readonly per: "namespace" | "pod" | "container" | "volume";
  /** As Kubernetes names it, e.g. `requests.cpu`. */
  readonly resource: string;
  /** Cores, bytes or a count. */
  readonly max: number;
}

/** The limits that what is needed exceeds, each in words; those of resources nothing is known of never do. */
export function exceeded(needs: Requests, limits: readonly NamespaceLimit[]): string[] {
  return limits.flatMap((limit) => {
    const asked = askedOf(needs, limit);
    if (asked === undefined || asked <= limit.max * (1 + 1e-9)) return [];
    const each = limit.per === "namespace" ? "" : ` for each ${limit.per}`;
    return [`${limit.source} allows ${limit.resource} ${limit.max}${each}, asked are ${asked}`];
  });
}

function askedOf(needs: Requests, { per, resource }: NamespaceLimit): number | undefined {
  const name = resource.replace(/^(requests\.|count\/)/, "");
  const largest = (values: readonly number[]) => Math.max(0, ...values);
  if (per === "volume") return name === "storage" ? largest(needs.volumes) : undefined;
  if (name === "cpu" || name === "memory") {
    if (per === "container") return largest(needs.pods.flatMap((pod) => pod.containers.map((one) => one[name])));
    const values = needs.pods.map((pod) => pod[name]);
    return per === "pod" ? largest(values) : sum(values);
  }
  if (per !== "namespace") return undefined;
  if (name === "pods") return needs.pods.length;
  if (name === "persistentvolumeclaims") return needs.volumes.length;
  return name === "storage" ? sum(needs.volumes) : undefined;
}

const sum = (values: readonly number[]): number => values.reduce((all, one) => all + one, 0);
