import { z } from "zod";
import { durationSchema } from "./units.ts";

/** When a fault starts: after the measure phase began, so that warm-up can change without moving it. */
const at = durationSchema({ max: "24h" }).meta({
  description: "When the fault starts, counted from the start of the measure phase.",
  unit: "duration",
  examples: ["15s"],
});

const count = z
  .int()
  .min(1)
  .max(64)
  .default(1)
  .meta({ description: "How many members of the role are hit, chosen by the experiment's seed.", unit: "members" });

/** Whom a fault hits: members of a role as it stands at that moment, or one fixed ordinal. */
const targetSchema = (roles: readonly [string, ...string[]]) =>
  z.union(
    [
      z.strictObject({
        role: z.enum(roles).meta({ description: "Role held at the moment the fault starts.", examples: [roles[0]] }),
        count,
      }),
      z.strictObject({
        ordinal: z
          .int()
          .min(0)
          .max(9_999)
          .meta({ description: "Ordinal of the pod in its StatefulSet.", examples: [0] }),
      }),
    ],
    { error: `a target is {role: ${roles.join(" | ")}, count: 1} or {ordinal: 0}` },
  );

/** Kills the pod's processes at once (grace period 0); Kubernetes starts a new pod on the same volume. */
const killSchema = (roles: readonly [string, ...string[]]) =>
  z
    .strictObject({
      at,
      kind: z.literal("kill"),
      target: targetSchema(roles),
    })
    .meta({ description: "Kill pods: no grace period, as a crashed machine would." });

/** Stops the pod's processes and lets them go on: the member hangs, with its connections open. */
const pauseSchema = (roles: readonly [string, ...string[]]) =>
  z
    .strictObject({
      at,
      for: durationSchema({ min: "100ms", max: "20s" }).meta({
        description: "How long; much longer and the kubelet takes the member for dead and starts it again.",
        unit: "duration",
        examples: ["10s"],
      }),
      kind: z.literal("pause"),
      target: targetSchema(roles),
    })
    .meta({ description: "Pause pods: they hang and come back as they were, as a machine out of breath would." });

/** Faults a system with these roles can be put through. */
export const faultSchema = (roles: readonly [string, ...string[]]) =>
  z.discriminatedUnion("kind", [killSchema(roles), pauseSchema(roles)], {
    error: 'kind must be "kill" or "pause"',
  });
