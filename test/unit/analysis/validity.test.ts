import { describe, expect, test } from "vitest";
import { operationsNeeded, thresholds } from "../../../analysis/thresholds.ts";
import { dataChecks, protocolChecks } from "../../../analysis/validity.ts";
import type { ConductorResult, WorkerResult } from "../../../schema/results.ts";
import type { FaultEvidence, RunSpec } from "../../../schema/run.ts";
import type { SimulatedReplication } from "../../support/replication-results.ts";
import type { RunOptions, SimulatedOperation } from "../../support/results.ts";
import { analysed, failedChecks, remarkedChecks } from "./run.ts";

/** One worker changed, the other as it was. */
const firstWorker =
  (edit: (worker: WorkerResult) => WorkerResult) =>
  (worker: WorkerResult): WorkerResult =>
    worker.worker === 0 ? edit(worker) : worker;
const health =
  (change: Partial<WorkerResult["health"]>): NonNullable<RunOptions["editWorker"]> =>
  (worker) => ({ ...worker, health: { ...worker.health, ...change } });
const clock =
  (change: Partial<WorkerResult["clock"]>) =>
  (worker: WorkerResult): WorkerResult => ({ ...worker, clock: { ...worker.clock, ...change } });
const durability =
  (change: Partial<NonNullable<WorkerResult["durability"]>>): NonNullable<RunOptions["editWorker"]> =>
  (worker) => ({ ...worker, durability: worker.durability === null ? null : { ...worker.durability, ...change } });
/** A raw sender took two seconds for a window. */
const reference =
  ({ connector, ...problem }: { readonly connector: number; readonly problem?: string }) =>
  (worker: WorkerResult): WorkerResult => ({
    ...worker,
    reference: {
      transfers: 1_000,
      windows: [
        { sender: "raw", seconds: 2, cpuSeconds: 0.2 },
        { sender: "connector", seconds: connector, cpuSeconds: 1 },
      ],
      ...problem,
    },
  });
const counters =
  (change: (get: WorkerResult["operations"][string]) => Partial<WorkerResult["operations"][string]>) =>
  (worker: WorkerResult): WorkerResult => {
    const get = worker.operations.get;
    return get === undefined
      ? worker
      : { ...worker, operations: { ...worker.operations, get: { ...get, ...change(get) } } };
  };
const conductorWorker =
  (change: Partial<ConductorResult["workers"][number]>) =>
  (conductor: ConductorResult): ConductorResult => ({
    ...conductor,
    workers: conductor.workers.map((worker) => (worker.index === 1 ? { ...worker, ...change } : worker)),
  });
const fault =
  (change: (evidence: FaultEvidence) => Partial<FaultEvidence>) =>
  (conductor: ConductorResult): ConductorResult => ({
    ...conductor,
    faults: conductor.faults.map((evidence) => ({ ...evidence, ...change(evidence) })),
  });
const member = (change: Partial<FaultEvidence["members"][number]>) =>
  fault((evidence) => ({ members: evidence.members.map((one) => ({ ...one, ...change })) }));
const closed = (spec: RunSpec): RunSpec => ({ ...spec, arrival: { kind: "closed", users: 4, thinkTimeMs: 0 } });

/** Eight in a hundred operations are sent 40 ms late. */
const lateTail = (random: () => number): number => (random() < 0.08 ? 40 : 0.5);
const tail = (bound: { readonly max: string }): RunOptions => ({
  latenessMs: lateTail,
  objectives: [{ metric: "get.latency.p95", ...bound }],
});
const missedBySlowNetwork: RunOptions = {
  serviceMs: () => 50,
  objectives: [{ metric: "get.latency.p90", max: "20ms" }],
};

/** Writes show everywhere after 60 ms, changed by the test; `bound` is on the share that did. */
const replication = (
  changes: Partial<SimulatedReplication>,
  objective: Readonly<Record<string, string | number>>,
): RunOptions => ({
  replication: { deadlineMs: 1_000, delayMs: () => 60, ...changes },
  objectives: [objective],
});
/** Of every so many writes, what became of it at one member is this. */
const oneIn =
  (share: number, delayMs: number) =>
  (write: number, member: number): number =>
    member === 2 && write % share === 0 ? delayMs : 60;
const slowReports = { members: { lagMs: { p50: 10, p99: 50, max: 80 } } };
const shareOf = (min: number) => ({ metric: "replicated_ratio", min });
const idleWith = (p99: number) => ({
  windowMs: 1_000,
  eventLoopDelayMs: { p50: 1, p99, max: 2 * p99 },
  roundTripMs: null,
});
const withoutIdle = (worker: WorkerResult): WorkerResult => {
  const { idle: _, ...rest } = worker.health;
  return { ...worker, health: rest };
};
/** The first two seconds of the measure phase are ten times as slow; the fault comes late enough to see it. */
const unsettled: RunOptions = {
  measureMs: 12_000,
  killAtMs: 11_000,
  serviceMs: (random, _, dueMs) => (dueMs < 4_000 ? 50 : 5) * (0.8 + 0.4 * random()),
};

/** What makes a check fail a run, and what it must let pass although it looks alike. */
const cases: readonly {
  readonly check: string;
  readonly fails: readonly (readonly [string, RunOptions])[];
  readonly warns: readonly (readonly [string, RunOptions])[];
  readonly passes: readonly (readonly [string, RunOptions])[];
}[] = [
  {
    check: "workers",
    fails: [
      ["a worker never joined", { editConductor: conductorWorker({ joinedAtMs: null, doneAtMs: null }) }],
      ["a worker was lost", { editConductor: conductorWorker({ doneAtMs: null }) }],
      [
        "a worker joined after the start",
        { editConductor: (conductor) => conductorWorker({ joinedAtMs: (conductor.startAtMs ?? 0) + 50 })(conductor) },
      ],
      ["the run never started", { editConductor: (conductor) => ({ ...conductor, startAtMs: null }) }],
    ],
    warns: [],
    passes: [
      [
        "a worker joined just before the start",
        { editConductor: (conductor) => conductorWorker({ joinedAtMs: (conductor.startAtMs ?? 0) - 1 })(conductor) },
      ],
    ],
  },
  {
    check: "faults",
    fails: [
      ["it was not applied", { editConductor: fault(() => ({ applied: false, reason: "no pod leads" })) }],
      ["it never acted", { editConductor: fault(() => ({ actedAtMs: null })) }],
      ["there is no evidence", { editConductor: (conductor) => ({ ...conductor, faults: [] }) }],
      ["nothing is seen gone", { editConductor: member({ goneAtMs: null }) }],
      ["the pod is the one it was", { editConductor: member({ replacementUid: "5e0c8a3e-0001" }) }],
      ["a follower was hit", { editConductor: member({ role: "follower" }) }],
      [
        "it acted after the measure phase",
        { editConductor: fault(({ plannedAtMs }) => ({ actedAtMs: plannedAtMs + 60_000 })) },
      ],
    ],
    warns: [
      [
        "it acted late",
        { editConductor: fault(({ plannedAtMs }) => ({ actedAtMs: plannedAtMs + thresholds.faultDelayMs + 1 })) },
      ],
      ["the pod never came back", { editConductor: member({ readyAtMs: null }) }],
    ],
    passes: [
      ["it acted a little late", { editConductor: fault(({ plannedAtMs }) => ({ actedAtMs: plannedAtMs + 400 })) }],
      ["no fault is planned", { killAtMs: null }],
    ],
  },
  {
    check: "driver-saturated",
    fails: [
      [
        "one operation was dropped",
        { editWorker: firstWorker(counters((get) => ({ offered: get.offered + 1, dropped: 1 }))) },
      ],
      ["a tenth was never due", { editOperations: (operations) => operations.filter((_, index) => index % 10 !== 0) }],
      [
        "more was due than planned",
        { editSpec: (spec) => ({ ...spec, arrival: { kind: "open", ratePerSecond: 90, process: "uniform" } }) },
      ],
      ["operations were sent 40 ms late", { latenessMs: (random) => random() * 40 }],
      [
        "one worker of two sent late",
        { editOperations: (operations) => operations.map((one) => (one.worker === 1 ? late(one, 60) : one)) },
      ],
      ["a latency objective is missed where the driver made the tail", tail({ max: "20ms" })],
      [
        "the same, closed: answers were noticed late",
        {
          ...missedBySlowNetwork,
          editSpec: closed,
          editWorker: health({ eventLoopDelayMs: { p50: 4, p99: 60, max: 90 } }),
        },
      ],
      [
        "closed arrival noticed half of the answers late",
        {
          editSpec: closed,
          editWorker: health({ eventLoopDelayMs: { p50: 30, p99: 60, max: 90 } }),
          serviceMs: () => 40,
        },
      ],
    ],
    warns: [
      ["a latency objective is met although the driver made the tail", tail({ max: "100ms" })],
      ["the driver made the tail, and nobody judges it", { latenessMs: lateTail }],
    ],
    passes: [
      ["operations were late by a timer's step", { latenessMs: (random) => random() * 3 }],
      [
        "fast networks are not measured against lateness",
        { latenessMs: (random) => random() * 2, serviceMs: () => 0.3 },
      ],
      [
        "poisson arrival varies by chance",
        { editSpec: (spec) => ({ ...spec, arrival: { kind: "open", ratePerSecond: 107, process: "poisson" } }) },
      ],
      ["a stall of the network holds nothing back", { outage: { fromMs: 4_002, forMs: 1_500, manner: "held" } }],
      [
        "closed arrival has no plan to fall short of",
        { editSpec: closed, editOperations: (operations) => operations.filter((_, index) => index % 3 > 0) },
      ],
    ],
  },
  {
    check: "driver-busy",
    fails: [],
    warns: [
      ["the event loop was held up", { editWorker: health({ eventLoopDelayMs: { p50: 2, p99: 25, max: 80 } }) }],
      [
        "it used up its CPU limit",
        { editWorker: health({ cpu: { usedSeconds: 9.5, throttledSeconds: 0, limitCores: 1 } }) },
      ],
      [
        "it came near the operations it may have in flight",
        { editWorker: health({ maxInFlight: 90, inFlightLimit: 100 }) },
      ],
      ["it was throttled", { editWorker: health({ cpu: { usedSeconds: 9, throttledSeconds: 0.6, limitCores: 1 } }) }],
    ],
    passes: [
      ["the event loop stalled once", { editWorker: health({ eventLoopDelayMs: { p50: 2, p99: 19, max: 300 } }) }],
      [
        "users of a closed arrival are all in flight",
        { editSpec: closed, editWorker: health({ maxInFlight: 4, inFlightLimit: 4 }) },
      ],
      ["CPU use cannot be read", { editWorker: health({ cpu: null }) }],
    ],
  },
  {
    check: "driver-reference",
    fails: [],
    warns: [
      ["it got half of a raw sender's rate through", { editWorker: firstWorker(reference({ connector: 4 })) }],
      [
        "it could not be compared",
        { editWorker: firstWorker(reference({ connector: 2, problem: "a node was away" })) },
      ],
    ],
    passes: [["it got nearly as much through", { editWorker: firstWorker(reference({ connector: 2.4 })) }]],
  },
  {
    check: "clock",
    fails: [
      ["the round trip was 150 ms", { editWorker: clock({ offsetMs: 3, roundTripMs: 150 }) }],
      ["it moved by 60 ms", { editWorker: firstWorker(clock({ end: { offsetMs: 60, roundTripMs: 0.6 } })) }],
      [
        "it moved by more than failover is judged to",
        {
          editWorker: clock({ end: { offsetMs: -31, roundTripMs: 0.6 } }),
          objectives: [{ metric: "failover", max: "300ms" }],
        },
      ],
      ["the wall clock was set back an hour", { editWorker: firstWorker(clock({ wallStepMs: -3_600_000 })) }],
      [
        "a worker started beside the others",
        { editWorker: firstWorker((worker) => ({ ...worker, startAtMs: worker.startAtMs + 700 })) },
      ],
      [
        "a worker measured at another time",
        {
          editWorker: firstWorker((worker) => ({
            ...worker,
            phases: worker.phases.map((phase) => ({
              ...phase,
              startMs: phase.startMs + 900,
              endMs: phase.endMs + 900,
            })),
          })),
        },
      ],
      [
        "a worker never measured",
        {
          editWorker: firstWorker((worker) => ({
            ...worker,
            phases: worker.phases.filter((phase) => phase.name !== "measure"),
          })),
        },
      ],
      [
        "the clock jumped an hour in mid-run",
        {
          editEvents: (operations) => operations.map((one) => (one.intendedMs > 6_000 ? shifted(one, 3_600_000) : one)),
        },
      ],
      [
        "the clock jumped back",
        {
          editEvents: (operations) =>
            operations.map((one) => (one.intendedMs > 6_000 ? { ...one, completedMs: one.completedMs - 500 } : one)),
        },
      ],
    ],
    warns: [
      ["it was compared once", { editWorker: clock({ end: null }) }],
      ["it drifted by 10 ms", { editWorker: clock({ end: { offsetMs: 10, roundTripMs: 0.6 } }) }],
      ["the round trip was 12 ms", { editWorker: clock({ roundTripMs: 12 }) }],
    ],
    passes: [
      [
        "offsets differ, well known",
        {
          editWorker: firstWorker(
            clock({ offsetMs: 4_000, roundTripMs: 4, end: { offsetMs: 4_000.5, roundTripMs: 4 } }),
          ),
        },
      ],
      [
        "it seems to move, within what the exchanges leave open",
        { editWorker: clock({ end: { offsetMs: 30, roundTripMs: 62 } }) },
      ],
      [
        "it drifted by less than a tenth of the failover bound",
        {
          editWorker: clock({ end: { offsetMs: 2, roundTripMs: 0.4 } }),
          objectives: [{ metric: "failover", max: "5s" }],
        },
      ],
      ["the wall clock was read a little late", { editWorker: clock({ wallStepMs: -3 }) }],
    ],
  },
  {
    check: "events-disagree",
    fails: [
      ["events are missing", { editEvents: (operations) => operations.slice(0, -1) }],
      ["an event is there twice", { editEvents: (operations) => [...operations, ...operations.slice(-1)] }],
      [
        "a failure is counted as success",
        {
          editEvents: (operations) =>
            operations.map((one, index) => (index === 300 ? { ...one, outcome: "timeout" } : one)),
        },
      ],
      [
        "latencies differ",
        { editEvents: (operations) => operations.map((one) => ({ ...one, completedMs: one.completedMs + 2 })) },
      ],
      [
        "an operation was never answered",
        { editWorker: counters((get) => ({ offered: get.offered + 1, sent: get.sent + 1 })) },
      ],
      [
        "an operation has no counters",
        {
          editEvents: (operations) =>
            operations.map((one, index) => (index === 300 ? { ...one, operation: "delete" } : one)),
        },
      ],
    ],
    warns: [],
    passes: [
      ["operations failed", { outage: { fromMs: 4_002, forMs: 900, manner: "refused" } }],
      [
        "an operation took no time",
        { latenessMs: () => 0, serviceMs: (_, __, intendedMs) => (intendedMs % 3 < 1 ? 0 : 2) },
      ],
    ],
  },
  {
    check: "too-few-operations",
    fails: [
      ["p99 of some 250", { objectives: [{ metric: "put.latency.p99", max: "5s" }] }],
      ["p999 of some 750", { objectives: [{ metric: "get.latency.p999", max: "5s" }] }],
      ["nothing was answered", { editOperations: () => [], editSpec: closed }],
    ],
    warns: [],
    passes: [
      ["p90 of some 250", { objectives: [{ metric: "put.latency.p90", max: "5s" }] }],
      ["the slowest of some 250", { objectives: [{ metric: "put.latency.max", max: "5s" }] }],
      ["p999 that nobody judges", { objectives: [{ metric: "success_ratio", min: 0.5 }] }],
    ],
  },
  {
    check: "durability-unread",
    fails: [
      ["a key could not be read back", { editWorker: durability({ keysUnread: 1 }) }],
      ["no key was read back", { editWorker: durability({ keysChecked: 0 }) }],
      ["one worker did not look", { editWorker: firstWorker((worker) => ({ ...worker, durability: null })) }],
    ],
    warns: [
      [
        "a key could not be read, which nobody judges",
        { editWorker: durability({ keysUnread: 1 }), objectives: [{ metric: "success_ratio", min: 0.5 }] },
      ],
    ],
    passes: [
      ["nothing was written", { editWorker: durability({ acknowledged: 0, keysChecked: 0 }) }],
      ["lost writes are a result, not a doubt", { editWorker: durability({ lost: 3 }) }],
      [
        "no worker looks, nobody asks",
        {
          editWorker: (worker) => ({ ...worker, durability: null }),
          objectives: [{ metric: "success_ratio", min: 0.5 }],
        },
      ],
    ],
  },
  {
    check: "failover-unclear",
    fails: [
      [
        "too few writes came before the fault",
        { killAtMs: 200, warmupMs: 0, objectives: [{ metric: "failover", max: "5s" }] },
      ],
      [
        "noise hides what is judged",
        { serviceMs: (random) => 100 + random() * 300, objectives: [{ metric: "failover", max: "500ms" }] },
      ],
    ],
    warns: [["too few writes, which nobody judges", { killAtMs: 200, warmupMs: 0 }]],
    passes: [
      [
        "noise is far below what is judged",
        { serviceMs: (random) => 100 + random() * 300, objectives: [{ metric: "failover", max: "5s" }] },
      ],
      ["the warm-up makes up for an early fault", { killAtMs: 200, objectives: [{ metric: "failover", max: "5s" }] }],
    ],
  },
  {
    check: "replication",
    fails: [
      ["what may have been missed decides", replication({ delayMs: oneIn(50, Number.NaN) }, shareOf(0.999))],
      ["reports waited, and a bound is missed", replication(slowReports, { metric: "replication.p50", max: "30ms" })],
      ["too few writes are judged", replication({}, { metric: "replication.1.p999", max: "10s" })],
    ],
    warns: [
      ["some may have been missed", replication({ delayMs: oneIn(50, Number.NaN) }, shareOf(0.9))],
      ["reports waited", replication(slowReports, { metric: "replication.p50", max: "1s" })],
    ],
    passes: [
      ["some never showed", replication({ delayMs: oneIn(5, Number.POSITIVE_INFINITY) }, shareOf(0.999))],
      ["some showed too late", replication({ delayMs: oneIn(5, 9_000) }, shareOf(0.999))],
    ],
  },
  {
    check: "noise-floor",
    fails: [
      [
        "the bound is finer than the idle machine's own delay",
        {
          editWorker: health({ idle: idleWith(30) }),
          serviceMs: () => 40,
          objectives: [{ metric: "get.latency.p90", max: "25ms" }],
        },
      ],
    ],
    warns: [
      ["the value is within chance of its bound", { objectives: [{ metric: "get.latency.p50", max: "2.45ms" }] }],
      ["the machine was busy before the load", { editWorker: health({ idle: idleWith(30) }) }],
    ],
    passes: [
      ["the bound is far off", { objectives: [{ metric: "get.latency.p50", max: "20ms" }] }],
      [
        "a bound is met in spite of the machine's delay",
        { editWorker: health({ idle: idleWith(15) }), objectives: [{ metric: "get.latency.p50", max: "10ms" }] },
      ],
      ["nothing is known of the idle machine", { editWorker: withoutIdle }],
    ],
  },
  {
    check: "warm-up",
    fails: [
      [
        "an unsettled beginning decides an objective",
        { ...unsettled, objectives: [{ metric: "get.latency.p95", max: "20ms" }] },
      ],
    ],
    warns: [
      ["an unsettled beginning decides nothing", unsettled],
      ["there is none", { warmupMs: 0 }],
      [
        "everything failed in it",
        {
          editOperations: (operations) =>
            operations.map((one) => (one.phase === "warmup" ? { ...one, outcome: "timeout" } : one)),
        },
      ],
    ],
    passes: [
      ["it was slow, the measure phase no more", { serviceMs: (_, __, dueMs) => (dueMs < 1_900 ? 60 : 3) }],
      [
        "some of it failed",
        {
          editOperations: (operations) =>
            operations.map((one) => (one.intendedMs < 1_000 ? { ...one, outcome: "timeout" } : one)),
        },
      ],
    ],
  },
];

function late(operation: SimulatedOperation, byMs: number): SimulatedOperation {
  return { ...operation, sentMs: operation.sentMs + byMs, completedMs: operation.completedMs + byMs };
}

function shifted(operation: SimulatedOperation, byMs: number): SimulatedOperation {
  return { ...late(operation, byMs), intendedMs: operation.intendedMs + byMs };
}

test("every check is tested both ways", () => {
  const known = [...protocolChecks, ...dataChecks].map((check) => check.check);
  expect(cases.map((one) => one.check).sort()).toEqual(known.sort());
  expect(cases.filter((one) => one.passes.length === 0 || one.fails.length + one.warns.length === 0)).toEqual([]);
});

test("a good run passes every check", async () => {
  const { summary } = await analysed({
    ...replication({}, shareOf(1)),
    outage: { fromMs: 4_002, forMs: 800, manner: "refused" },
    editWorker: firstWorker(reference({ connector: 2 })),
  });
  expect(summary.reasons).toEqual([]);
  expect(summary.warnings).toEqual([]);
  expect(summary.checks.map((check) => check.outcome)).toEqual(summary.checks.map(() => "passed"));
});

for (const { check, fails, warns, passes } of cases) {
  describe(check, () => {
    test.each(fails)("invalid: %s", async (_, options) => {
      const analysis = await analysed(options);
      expect(failedChecks(analysis)).toContain(check);
      expect(analysis.summary.verdict).toBe("invalid");
      expect(analysis.summary.checks.find((one) => one.check === check)?.outcome).toBe("failed");
    });
    test.each(warns)("remark: %s", async (_, options) => {
      const analysis = await analysed(options);
      expect(failedChecks(analysis)).not.toContain(check);
      expect(remarkedChecks(analysis)).toContain(check);
    });
    test.each(passes)("fine: %s", async (_, options) => {
      const analysis = await analysed(options);
      expect([...failedChecks(analysis), ...remarkedChecks(analysis)]).not.toContain(check);
    });
  });
}

test("a percentile needs ten operations beyond it", () => {
  const needed = (["p50", "p90", "p95", "p99", "p999", "max"] as const).map(operationsNeeded);
  expect(needed).toEqual([20, 100, 200, 1_000, 10_000, 1]);
});
