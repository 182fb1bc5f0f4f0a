import { z } from "zod";
import { ceramicScenarios } from "../systems/ceramic-workload.ts";
import { keramikVersion, metadata, pullPolicy } from "./parts.ts";

const scenarioNames = Object.keys(ceramicScenarios);

const minutes = z
  .int()
  .min(1)
  .max(24 * 60);

const simulationFields = {
  scenario: z
    .enum(scenarioNames, { error: (issue) => unknownScenario(issue.input) })
    .meta({ description: "What users do." }),
  users: z.int().min(1).max(1_000_000).meta({ description: "Users of each peer; in the old spelling of all peers." }),
  image: z.string().min(1).optional(),
  imagePullPolicy: pullPolicy.optional(),
  throttleRequests: z.int().min(1).optional().meta({ description: "Requests per second of each worker." }),
  successRequestTarget: z.int().min(0).optional(),
  devMode: z.boolean().optional(),
  logLevel: z.enum(["warn", "info", "debug", "trace"]).optional(),
  anchorWaitTime: z
    .int()
    .min(0)
    .max(86_400)
    .optional()
    .meta({ description: "Before anchors are looked at.", unit: "s" }),
  casNetwork: z.string().optional(),
  casController: z.string().optional(),
};

function unknownScenario(input: unknown): string {
  return `there is no scenario ${JSON.stringify(input)}; there are ${scenarioNames.join(", ")}`;
}

const runTime = minutes.meta({ description: "How long users act.", unit: "min" });
const onceRunTime = "give the run time once, as runTime or, in the old spelling, as run_time";

/** `Simulation.spec` by spelling, as for networks. */
export const simulationSpecs = {
  today: z.strictObject({ ...simulationFields, runTime }),
  seed: z.strictObject({ ...simulationFields, run_time: runTime }),
  both: z
    .strictObject({ ...simulationFields, runTime: runTime.optional(), run_time: runTime.optional() })
    .refine((written) => (written.runTime === undefined) !== (written.run_time === undefined), { error: onceRunTime })
    .meta({
      "x-kubernetes-validations": [{ rule: "has(self.runTime) != has(self.run_time)", message: onceRunTime }],
    }),
};

export const simulationSchema = z.strictObject({
  apiVersion: z.literal(keramikVersion),
  kind: z.literal("Simulation"),
  metadata,
  spec: simulationSpecs.both,
  status: z.unknown().optional(),
});

export type KeramikSimulation = z.output<typeof simulationSchema>;
