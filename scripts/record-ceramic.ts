import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, loadavg, release, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readEvents } from "../analysis/events.ts";
import type { WorkerData } from "../analysis/read.ts";
import { replicationOf } from "../analysis/replication.ts";
import { replicationMetrics } from "../analysis/replication-summary.ts";
import { readReplication } from "../analysis/replication-table.ts";
import { writeMetrics, writesOf } from "../analysis/writes.ts";
import type { RunSpec } from "../schema/run.ts";
import { connect } from "../workloads/ceramic/connector.ts";
import { systemClock } from "../workloads/core/clock.ts";
import { EventLog } from "../workloads/core/events.ts";
import { Load } from "../workloads/core/load.ts";
import { ReplicationWatch } from "../workloads/core/replication.ts";

/**
 * Records what a slowed and a halted peer do to the figures of a Ceramic network that runs on this machine: short
 * windows in turn, undisturbed twice, with its last peer slowed (halted four fifths of the time), and halted from the
 * middle of the window on. Give the folder of its credentials, the process id of its last peer, and URLs of all.
 *
 *     node scripts/record-ceramic.ts 8 /tmp/credentials 4711 http://127.0.0.1:7007 http://127.0.0.1:7008 > arms.json
 */
const [count = "8", credentials = "", pidText = "", ...urls] = process.argv.slice(2);
const pid = Number(pidText);
const arms = ["first", "second", "slowed", "halted"] as const;
const measureMs = 6_000;
const deadlineMs = 3_000;
const operations = { create: 1, update: 2 };

if (!Number.isInteger(pid) || pid <= 1 || urls.length < 2) {
  throw new Error("give a number of windows, the credentials' folder, the last peer's process id and the peers' URLs");
}

function specOf(run: string): RunSpec {
  return {
    run,
    seed: 7,
    workers: 1,
    operations,
    arrival: { kind: "open", ratePerSecond: 12, process: "uniform" },
    phases: { warmupMs: 0, measureMs, cooldownMs: 0 },
    timeoutMs: deadlineMs,
    parameters: { authors: 8, shapes: ["small"] },
    endpoints: urls.map((url, ordinal) => ({ group: "ceramic", ordinal, pod: `ceramic-${ordinal}`, url })),
    replication: { deadlineMs },
  } as unknown as RunSpec;
}

/** Halts the last peer as the arm says, until told to stop; it goes on afterwards, whatever happened. */
async function disturb(arm: (typeof arms)[number], stop: AbortSignal): Promise<void> {
  const pause = (ms: number): Promise<unknown> => sleep(ms, undefined, { signal: stop }).catch(() => undefined);
  try {
    if (arm === "halted") {
      await pause(measureMs / 2);
      process.kill(pid, "SIGSTOP");
      await pause(600_000);
    }
    while (arm === "slowed" && !stop.aborted) {
      process.kill(pid, "SIGSTOP");
      await pause(400);
      process.kill(pid, "SIGCONT");
      await pause(100);
    }
  } finally {
    process.kill(pid, "SIGCONT");
  }
}

async function recordWindow(arm: (typeof arms)[number], run: string, folder: string): Promise<Record<string, number>> {
  const spec = specOf(run);
  const connector = await connect(spec, { worker: 0, credentials });
  const over = new AbortController();
  const events = new EventLog(0);
  const plan = { endpoints: spec.endpoints, timeoutMs: spec.timeoutMs, worker: 0, deadlineMs };
  const observe = connector.observe?.bind(connector) ?? (() => Promise.resolve());
  const watch = new ReplicationWatch(plan, observe, systemClock, over.signal);
  await sleep(2_500); // the feeds are open
  const startUs = Math.ceil(systemClock.nowUs());
  const disturbed = disturb(arm, over.signal);
  const ignored = (): void => undefined;
  const load = new Load(
    { spec, worker: 0, startUs, endUs: startUs + measureMs * 1000 },
    connector.operations,
    systemClock,
    {
      offered: ignored,
      sent: ignored,
      dropped: ignored,
      completed: (done) => {
        events.add(done, true, done.outcome.ok ? "ok" : (done.outcome.code ?? "failed"));
        watch.completed(done, true);
      },
    },
  );
  try {
    await load.run();
    await watch.settled(over.signal);
    const result = await watch.stop();
    await events.write(join(folder, "events.parquet"));
    await watch.write(join(folder, "replication.parquet"));
    const worker = {
      index: 0,
      result: { replication: result, health: { eventLoopDelayMs: { p50: 0, p99: 0, max: 0 } } },
      events: await readEvents(join(folder, "events.parquet"), 0),
      replication: await readReplication(
        join(folder, "replication.parquet"),
        0,
        spec.endpoints.map(({ ordinal }) => ordinal),
      ),
    } as unknown as WorkerData;
    const metrics = {
      ...writeMetrics(writesOf(spec, [worker], Object.keys(operations))),
      ...replicationMetrics(replicationOf(spec, [worker]), writesOf(spec, [worker], Object.keys(operations))),
    };
    return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, Number(value.toPrecision(6))]));
  } finally {
    over.abort();
    await disturbed;
    await connector.close();
  }
}

const folder = await mkdtemp(join(tmpdir(), "orrery-record-"));
const recorded = Object.fromEntries(arms.map((arm) => [arm, [] as Record<string, number>[]]));
const loads: number[] = [];
const began = new Date();
try {
  for (let round = 0; round < Number(count); round += 1) {
    for (const arm of arms) {
      recorded[arm]?.push(await recordWindow(arm, `${arm}-${round}-${began.getTime()}`, folder));
      loads.push(loadavg()[0] ?? 0);
      process.stderr.write(`${arm} ${round + 1} of ${count}, load average ${loads.at(-1)?.toFixed(1)}\n`);
      await sleep(arm === "halted" || arm === "slowed" ? 4_000 : 500); // a peer that was halted catches up
    }
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
const conditions = {
  what: `js-ceramic 6.11.0 over kubo 0.39.0, ${urls.length} peers on loopback, inmemory, open arrival 12/s, create 1 to update 2, 8 authors, windows of ${measureMs / 1000} s in turn; slowed: the last peer halted 400 ms of 500; halted: the last peer halted from the middle of the window on`,
  where: `${cpus().length} cores, kernel ${release()}, Node ${process.versions.node}`,
  noise: `load average ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}, with other work on the machine`,
  recorded: `${began.toISOString()} to ${new Date().toISOString()}`,
};
await writeFile("/dev/stdout", `${JSON.stringify({ conditions, arms: recorded }, null, 2)}\n`);
