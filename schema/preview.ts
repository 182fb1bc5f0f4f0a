import { z } from "zod";

/**
 * What a pull request would change, as data: written by the job that may run the pull request's code, read by the one
 * that may comment on it. The second never trusts the first, so everything in here is bounded and checked.
 */
export const previewVersion = "orrery/preview/v1";

/** What would happen to one resource. */
export const changeKinds = ["create", "update", "replace", "delete"] as const;

const changeSchema = z.strictObject({
  kind: z.enum(changeKinds),
  /** Type token, e.g. `kubernetes:apps/v1:StatefulSet`. */
  type: z.string().max(200),
  /** Kubernetes name where there is one, else Pulumi's. */
  name: z.string().max(300),
  /** It holds data or keys that a replacement or deletion would lose. */
  stateful: z.boolean(),
  /** Fields that force the replacement; empty otherwise. */
  because: z.array(z.string().max(300)).max(50),
  /** Unified difference of the inputs as YAML, secret values masked; may be cut. */
  diff: z.string().max(40_000),
});
export type ResourceChange = z.output<typeof changeSchema>;

/** What the objects of a stack ask for when everything in it runs. */
export const footprintSchema = z.strictObject({
  objects: z.int().min(0),
  pods: z.int().min(0),
  /** Cores requested. */
  cpu: z.number().min(0),
  /** Bytes requested. */
  memory: z.number().min(0),
  /** Bytes of volumes. */
  storage: z.number().min(0),
});
export type Footprint = z.output<typeof footprintSchema>;

const stackPreviewSchema = z.strictObject({
  stack: z.string().max(200),
  /** Experiment file, relative to the project. */
  experiment: z.string().max(500),
  target: z.string().max(50),
  /** Compared with the recorded graph of the base commit, or asked of the engine and the cluster. */
  source: z.enum(["graphs", "engine"]),
  /** Why there is no preview of this stack. */
  error: z.string().max(5_000).optional(),
  changes: z.array(changeSchema).max(2_000),
  before: footprintSchema.nullable(),
  after: footprintSchema.nullable(),
  /** US dollars an hour, where the target has a price. */
  costPerHour: z.strictObject({ before: z.number().nullable(), after: z.number().nullable() }).optional(),
});
export type StackPreview = z.output<typeof stackPreviewSchema>;

export const previewSchema = z.strictObject({
  schema: z.literal(previewVersion),
  /** Commits compared, in full. */
  base: z.string().regex(/^[0-9a-f]{40}$/),
  head: z.string().regex(/^[0-9a-f]{40}$/),
  /** Stacks that would change, and those whose preview failed. */
  stacks: z.array(stackPreviewSchema).max(200),
  /** Names of the stacks that would not. */
  unchanged: z.array(z.string().max(200)).max(1_000),
  /** Images whose inputs changed: pods that run them are rolled. */
  images: z
    .array(z.strictObject({ name: z.string().max(100), because: z.array(z.string().max(500)).max(20) }))
    .max(100),
});
export type Preview = z.output<typeof previewSchema>;
