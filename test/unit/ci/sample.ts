import { type Preview, previewVersion, type ResourceChange, type StackPreview } from "../../../schema/preview.ts";

/** A change of a volume claim template, with single fields replaced. */
export function changeWith(overrides: Partial<ResourceChange> = {}): ResourceChange {
  return {
    kind: "replace",
    type: "kubernetes:apps/v1:StatefulSet",
    name: "kv",
    stateful: true,
    because: ["spec.volumeClaimTemplates"],
    diff: "@@ -1 +1 @@\n-storage: 1Gi\n+storage: 2Gi",
    ...overrides,
  };
}

/** One stack with the given changes. */
export function stackWith(...changes: ResourceChange[]): StackPreview {
  const before = { objects: 21, pods: 4, cpu: 0.9, memory: 2 ** 30, storage: 3 * 2 ** 30 };
  return {
    stack: "kv-local",
    experiment: "examples/kv.yaml",
    target: "local",
    source: "graphs",
    changes,
    before,
    after: { ...before, storage: 6 * 2 ** 30 },
  };
}

/** A preview of that stack, of the commit the fixtures of `test/fixtures/github` name. */
export function previewOf(...stacks: StackPreview[]): Preview {
  return {
    schema: previewVersion,
    base: "0".repeat(40),
    head: "1".repeat(40),
    stacks: stacks.length > 0 ? stacks : [stackWith(changeWith())],
    unchanged: ["kv-kind"],
    images: [{ name: "kv", because: ["nodes/kv/src/main.rs"] }],
  };
}
