/** Every place where Orrery's plugin deliberately does something else than the official one, with what to expect. */
import type { PluginName } from "./cluster.ts";

interface Difference<Value> {
  readonly what: string;
  readonly why: string;
  readonly official: Value;
  readonly orrery: Value;
}

/** Expectations per plugin. The README of local/plugin lists the same differences for users. */
export const differences = {
  hopelessImageEndsWait: {
    what: "an image that can never be pulled ends the wait",
    why: "waiting ten minutes for an image that does not exist helps nobody",
    official: false,
    orrery: true,
  } satisfies Difference<boolean>,
  failedWaitShowsEvents: {
    what: "the error of a failed wait contains the pod's events and log lines",
    why: "the cause is usually there, and the pod may be gone when somebody looks",
    official: false,
    orrery: true,
  } satisfies Difference<boolean>,
  invalidWaitFor: {
    what: "an invalid pulumi.com/waitFor is refused before anything is created",
    why: "the official plugin leaves an object in the cluster that is not in the state",
    official: "created",
    orrery: "refused",
  } satisfies Difference<"created" | "refused">,
  failedDeleteKeepsInputs: {
    what: "a delete that timed out keeps the old inputs in the state",
    why: "the official plugin stores the live object as inputs, so the next diff is wrong",
    official: false,
    orrery: true,
  } satisfies Difference<boolean>,
  partitionedUpdateEnds: {
    what: "a StatefulSet update with a partition is ready when the pods above the partition are updated",
    why: "the official plugin's revision rule can never hold then",
    official: false,
    orrery: true,
  } satisfies Difference<boolean>,
  secretAnnotationsStaySecret: {
    what: "secret fields of a Secret other than data stay secret",
    why: "the official plugin drops the mark of everything beside data",
    official: false,
    orrery: true,
  } satisfies Difference<boolean>,
} as const;

type Value<Key extends keyof typeof differences> =
  | (typeof differences)[Key]["official"]
  | (typeof differences)[Key]["orrery"];

/** The expectation for the plugin under test. */
export function expected<Key extends keyof typeof differences>(key: Key, plugin: PluginName): Value<Key> {
  const entry: { readonly official: Value<Key>; readonly orrery: Value<Key> } = differences[key];
  return entry[plugin];
}
