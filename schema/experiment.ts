import { z } from "zod";
import type { Problem } from "./errors.ts";
import { faultSchema } from "./faults.ts";
import { isReplicationMetric, objectiveSchema, replicationMetric, writeMetric } from "./objectives.ts";
import { observeSchema } from "./observe.ts";
import { type SystemName, systemOf, systems } from "./systems/index.ts";
import { durationSchema, rateSchema } from "./units.ts";

/** Version of the experiment file this program reads. */
export const experimentSchemaVersion = "orrery/v1";

const arrivalSchema = z
  .union(
    [
      z
        .strictObject({
          rate: rateSchema({ min: "0.1/s", max: "200000/s" }).meta({
            description: "Operations offered by all workers together, whatever the network does with them.",
            unit: "rate",
            examples: ["500/s"],
          }),
          process: z
            .enum(["uniform", "poisson"])
            .default("uniform")
            .meta({ description: "Spacing of operations: even, or exponential gaps drawn from the seed." }),
        })
        .meta({ description: "Open arrival: a schedule fixed up front, latency counted from the intended time." }),
      z
        .strictObject({
          users: z
            .int()
            .min(1)
            .max(10_000)
            .meta({ description: "Operations under way at any time, over all workers.", unit: "users" }),
          thinkTime: durationSchema({ max: "1h" })
            .prefault("0ms")
            .meta({ description: "Pause of a user between two operations.", unit: "duration" }),
        })
        .meta({ description: "Closed arrival: each user waits for its answer before it goes on." }),
    ],
    { error: 'arrival is open, {rate: "500/s"}, or closed, {users: 16}' },
  )
  .meta({ description: "How load arrives." });

const phasesSchema = z
  .strictObject({
    warmup: durationSchema({ max: "24h" })
      .prefault("5s")
      .meta({ description: "Load that is sent but not judged.", unit: "duration" }),
    measure: durationSchema({ min: "1s", max: "24h" }).meta({
      description: "Load that is judged; fault times count from its start.",
      unit: "duration",
      examples: ["30s"],
    }),
    cooldown: durationSchema({ max: "1h" })
      .prefault("2s")
      .meta({ description: "Longest wait for answers still due after the last operation was sent.", unit: "duration" }),
  })
  .meta({ description: "Phases of a run." });

function operationsSchema(operations: readonly [string, ...string[]]) {
  const weight = z.number().positive().max(1_000_000);
  return z
    .partialRecord(z.enum(operations), weight)
    .refine((weights) => Object.keys(weights).length > 0, {
      error: `name at least one operation of ${operations.join(", ")}`,
    })
    .meta({ description: "Operations and their weights; shares are weight by sum.", examples: [{ put: 1, get: 9 }] });
}

type Definition = (typeof systems)[keyof typeof systems];

/** The experiment schema of one system: the frame all share, with the system's own sections in it. */
function experimentSchemaOf<D extends Definition>(definition: D) {
  const network: D["network"] = definition.network;
  const parameters: D["parameters"] = definition.parameters;
  return z.strictObject({
    schema: z.literal(experimentSchemaVersion, {
      error: (issue) =>
        `${JSON.stringify(issue.input)} is not a version this program reads; write "${experimentSchemaVersion}"`,
    }),
    name: z
      .string()
      .regex(/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/, {
        error: "a name is 1 to 40 lower-case letters, digits and dashes, starting with a letter",
      })
      .meta({ description: "Name of the experiment, of its stack and its namespace.", examples: ["kv"] }),
    seed: z
      .int()
      .min(0)
      .max(2 ** 32 - 1)
      .default(1)
      .meta({ description: "Root of every random choice; the same seed gives the same plan and the same load." }),
    network,
    workload: z
      .strictObject({
        operations: operationsSchema(definition.operations),
        arrival: arrivalSchema,
        phases: phasesSchema,
        workers: z
          .int()
          .min(1)
          .max(64)
          .default(1)
          .meta({ description: "Parallel driver pods that share the load.", unit: "pods" }),
        timeout: durationSchema({ min: "10ms", max: "10m" })
          .prefault("5s")
          .meta({ description: "An operation without an answer by then has failed.", unit: "duration" }),
        parameters,
      })
      .meta({ description: "What is sent to the network." }),
    faults: z
      .array(faultSchema(definition.roles))
      .max(256)
      .default([])
      .meta({ description: "What is done to the network during the run." }),
    objectives: z
      .array(objectiveSchema(definition.operations))
      .max(256)
      .default([])
      .meta({ description: "What the network must achieve for the verdict to be pass." }),
    observe: observeSchema,
  });
}

/** The experiment schema of each system. */
export const experimentSchemas = Object.fromEntries(
  Object.entries(systems).map(([name, definition]) => [name, experimentSchemaOf(definition)]),
) as unknown as Schemas;

type Schemas = { readonly [Name in SystemName]: ReturnType<typeof experimentSchemaOf<(typeof systems)[Name]>> };
/** An experiment as a user writes it. */
export type WrittenExperiment = z.input<Schemas[keyof Schemas]>;
/** An experiment with every default filled in and every quantity a number. */
export type Experiment = z.output<Schemas[keyof Schemas]>;
/** The same of one system. */
export type ExperimentOf<Name extends SystemName> = z.output<Schemas[Name]>;

/** What is wrong with a well-formed experiment as a whole: no single field shows it. */
export function crossFieldProblems(experiment: Experiment): Problem[] {
  const { phases } = experiment.workload;
  const operations = Object.keys(experiment.workload.operations);
  const problems: Problem[] = [...systemOf(experiment.network).problems(experiment.network, operations)];
  experiment.faults.forEach((fault, index) => {
    if (fault.at >= phases.measure) {
      problems.push({
        path: `faults[${index}].at`,
        rule: `the fault starts ${fault.at} ms into a measure phase of ${phases.measure} ms, so nothing would be measured after it.`,
        fix: "Start it earlier or measure longer.",
      });
    }
    if ("for" in fault && fault.at < phases.measure && fault.at + fault.for >= phases.measure) {
      problems.push({
        path: `faults[${index}].for`,
        rule: `the fault ends ${fault.at + fault.for} ms into a measure phase of ${phases.measure} ms, so nothing would be measured after it.`,
        fix: "Start it earlier, let it last shorter, or measure longer.",
      });
    }
    const members = systemOf(experiment.network).members(experiment.network);
    if ("ordinal" in fault.target && fault.target.ordinal >= members) {
      problems.push({
        path: `faults[${index}].target.ordinal`,
        rule: `there is no member ${fault.target.ordinal} among ${members}.`,
        fix: `Write 0 to ${members - 1}.`,
      });
    }
    if ("count" in fault.target && fault.target.count > members) {
      problems.push({
        path: `faults[${index}].target.count`,
        rule: `${fault.target.count} members cannot be hit: there are ${members}.`,
        fix: `Write 1 to ${members}.`,
      });
    }
  });
  experiment.objectives.forEach((objective, index) => {
    if (isReplicationMetric(objective.metric)) {
      problems.push(...replicationProblems(experiment, objective.metric, `objectives[${index}].metric`));
      return;
    }
    const operation = objective.metric.includes(".") ? objective.metric.split(".")[0] : undefined;
    if (operation !== undefined && !(operation in experiment.workload.operations)) {
      problems.push({
        path: `objectives[${index}].metric`,
        rule: `the workload has no "${operation}", so ${objective.metric} would have no value.`,
        fix: `Add it to workload.operations or judge one of ${Object.keys(experiment.workload.operations).join(", ")}.`,
      });
    }
    if (objective.metric === "failover" && experiment.faults.length === 0) {
      problems.push({
        path: `objectives[${index}].metric`,
        rule: "no fault is planned, so failover would have no value.",
        fix: "Add a fault or drop the objective.",
      });
    }
  });
  if (experiment.observe.goose && !experiment.observe.prometheus) {
    problems.push({
      path: "observe.goose",
      rule: "goose_* are metrics that Prometheus keeps, and observe.prometheus is off.",
      fix: "Set observe.prometheus to true as well.",
    });
  }
  if (experiment.observe.grafana && !experiment.observe.prometheus) {
    problems.push({
      path: "observe.grafana",
      rule: "Grafana shows what Prometheus keeps, and observe.prometheus is off.",
      fix: "Set observe.prometheus to true as well.",
    });
  }
  return problems;
}

function replicationProblems(experiment: Experiment, metric: string, path: string): Problem[] {
  if (experiment.observe.replication === undefined) {
    return [
      {
        path,
        rule: `replication is not observed, so ${metric} would have no value.`,
        fix: "Add observe: {replication: {deadline: 10s}} or drop the objective.",
      },
    ];
  }
  const scope = replicationMetric(metric)?.scope ?? writeMetric(metric)?.member;
  const members = systemOf(experiment.network).members(experiment.network);
  return typeof scope === "number" && scope >= members
    ? [{ path, rule: `there is no member ${scope} among ${members}.`, fix: `Write 0 to ${members - 1}.` }]
    : [];
}

/** What is allowed but probably not meant. */
export function experimentWarnings(experiment: Experiment): readonly Problem[] {
  return systemOf(experiment.network).warnings(experiment.network);
}
