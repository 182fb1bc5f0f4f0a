/** Who a set of objects belongs to: the stack's instance and the part of it they play. */
export interface Owner {
  /** Experiment name. */
  readonly instance: string;
  /** What runs, e.g. `kv`, `driver`, `conductor`. */
  readonly name: string;
  /** Its part in the whole: `network`, `workload`, `conductor`. */
  readonly component: string;
}

/** Recommended Kubernetes labels of an object. */
export function labelsOf(owner: Owner, runId?: string): Record<string, string> {
  return {
    ...selectorOf(owner),
    "app.kubernetes.io/component": owner.component,
    "app.kubernetes.io/part-of": "orrery",
    "app.kubernetes.io/managed-by": "pulumi",
    ...(runId === undefined ? {} : { "orrery.dev/run-id": runId }),
  };
}

/** The labels that select an owner's pods; never changed while they live. */
export function selectorOf(owner: Owner): Record<string, string> {
  return { "app.kubernetes.io/name": owner.name, "app.kubernetes.io/instance": owner.instance };
}
