import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { follow, type Screen } from "../../../cli/commands/watch.ts";
import { describeLive, type LiveStyle, liveView, renderLive } from "../../../cli/live.ts";
import { RunFailure } from "../../../schema/errors.ts";
import type { FaultEvidence, Progress, RunSpec, RunStatus } from "../../../schema/run.ts";

const startAtMs = 1_000_000;

const spec: RunSpec = {
  schema: "orrery/run/v1",
  run: "20260115-120000",
  experiment: "kv",
  system: "kv",
  seed: 7,
  workers: 2,
  operations: { put: 1, get: 9 },
  arrival: { kind: "open", ratePerSecond: 300, process: "uniform" },
  phases: { warmupMs: 5_000, measureMs: 30_000, cooldownMs: 2_000 },
  timeoutMs: 5_000,
  parameters: {},
  endpoints: [0, 1, 2].map((ordinal) => ({
    group: "replica",
    ordinal,
    pod: `kv-${ordinal}`,
    url: `http://kv-${ordinal}.example:8080`,
  })),
  pods: { namespace: "orrery-kv", selector: {} },
  faults: [{ index: 0, kind: "kill", atMs: 15_000, target: { role: "leader", count: 1 } }],
  conductorUrl: "http://conductor.example:8070",
};

const planned: FaultEvidence = {
  index: 0,
  kind: "kill",
  target: { role: "leader", count: 1 },
  plannedAtMs: startAtMs + 20_000,
  actedAtMs: null,
  applied: false,
  members: [],
  leaderBefore: null,
  leaderAfter: null,
  leaderAfterAtMs: null,
  observations: [],
};

const killed: FaultEvidence = {
  ...planned,
  actedAtMs: startAtMs + 20_010,
  leaderBefore: "kv-1",
  members: [
    { pod: "kv-1", ordinal: 1, role: "leader", uid: "a", goneAtMs: null, replacementUid: null, readyAtMs: null },
  ],
};

const back: FaultEvidence = {
  ...killed,
  applied: true,
  leaderAfter: "kv-2",
  leaderAfterAtMs: startAtMs + 21_000,
  members: killed.members.map((one) => ({ ...one, replacementUid: "b", readyAtMs: startAtMs + 23_000 })),
};

const working: Progress = {
  phase: "measure",
  offered: 3_010,
  completed: 3_000,
  failed: 2,
  inFlight: 10,
  ratePerSecond: 150,
  p99Ms: 12.5,
};

interface Moment {
  readonly atMs?: number;
  readonly state?: RunStatus["state"];
  readonly fault?: FaultEvidence;
  readonly workers?: readonly Partial<RunStatus["workers"][number]>[];
}

function status({ atMs = 22_000, state = "running", fault = killed, workers = [{}, {}] }: Moment = {}): RunStatus {
  const nowMs = startAtMs + atMs;
  return {
    run: spec.run,
    state,
    startAtMs: state === "waiting" ? null : startAtMs,
    nowMs,
    workers: workers.map((worker, index) => ({
      index,
      joinedAtMs: startAtMs - 2_000,
      lastSeenAtMs: nowMs - 400,
      doneAtMs: null,
      progress: { ...working, p99Ms: 12.5 + index },
      ...worker,
    })),
    faults: [fault],
  };
}

describe("the live view", () => {
  test.each([
    ["waiting", status({ state: "waiting", atMs: -9_000 })],
    ["about to start", status({ atMs: -500 })],
    ["warm-up", status({ atMs: 4_999 })],
    ["measure", status({ atMs: 5_000 })],
    ["finishing", status({ atMs: 35_000, state: "collecting" })],
    ["complete", status({ atMs: 40_000, state: "complete" })],
  ])("knows the phase: %s", (phase, moment) => {
    expect(liveView(moment, spec).phase).toBe(phase);
  });

  test("adds up workers, but for percentiles", () => {
    const view = liveView(status(), spec);
    expect(view).toMatchObject({ offered: 6_020, completed: 6_000, failed: 4, inFlight: 20, ratePerSecond: 300 });
    expect(view.p99Ms).toBe(13.5);
    expect(liveView(status({ workers: [{ progress: null }, { progress: null }] }), spec).p99Ms).toBeNull();
  });

  test("tells which worker is missing, silent, at work or done", () => {
    const workers = [
      { joinedAtMs: null, lastSeenAtMs: null, progress: null },
      { lastSeenAtMs: startAtMs + 10_000 },
      {},
      { doneAtMs: startAtMs + 21_000 },
    ];
    const view = liveView(status({ workers }), spec);
    expect(view.workers.map(({ state }) => state)).toEqual(["not here", "silent", "loading", "delivered"]);
    const before = liveView(status({ workers, atMs: -1_000 }), spec);
    expect(before.workers[2]?.state).toBe("waiting");
  });

  test.each([
    ["planned", planned, 10_000, ["untouched", "untouched", "untouched"]],
    ["under way", killed, 22_000, ["untouched", "gone", "untouched"]],
    ["proved", back, 25_000, ["untouched", "back", "leader"]],
    ["not applied", planned, 30_000, ["untouched", "untouched", "untouched"]],
  ] as const)("follows a fault that is %s, and its members", (state, fault, atMs, members) => {
    const view = liveView(status({ fault, atMs }), spec);
    expect(view.faults[0]?.state).toBe(state);
    expect(view.members.map((member) => member.state)).toEqual(members);
  });

  test("is one line for logs", () => {
    expect(describeLive(liveView(status(), spec))).toBe(
      "measure 22 of 35 s · 300/s · p99 13.5 ms · 4 failed · 0 of 1 fault done",
    );
  });

  test("is a picture for a terminal, in the same characters with colour and without", async () => {
    const style: LiveStyle = { width: 80, height: 30, color: false, rates: [300, 310, 20, 0, 290, 300] };
    const text = renderLive(liveView(status(), spec), style);
    await expect(`${text}\n`).toMatchFileSnapshot("live.golden.txt");
    expect(stripVTControlCharacters(renderLive(liveView(status(), spec), { ...style, color: true }))).toBe(text);
  });

  test("fits a small terminal however many workers and members there are", () => {
    const workers = Array.from({ length: 64 }, () => ({}));
    const endpoints = Array.from({ length: 300 }, (_, ordinal) => ({
      group: "replica",
      ordinal,
      pod: `kv-${ordinal}`,
      url: "http://kv.example:8080",
    }));
    const text = renderLive(liveView(status({ workers }), { ...spec, endpoints }), {
      width: 80,
      height: 24,
      color: false,
      rates: Array.from({ length: 500 }, (_, second) => second),
    });
    const lines = text.split("\n");
    expect(lines.length).toBeLessThanOrEqual(24);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(text).toMatch(/and \d+ workers more/);
  });
});

describe("following a run", () => {
  /** A screen that keeps what it was shown. */
  function recorder(): Screen & { readonly shown: string[] } {
    const shown: string[] = [];
    return {
      shown,
      show: ({ phase }) => void shown.push(phase),
      wait: (reason) => void shown.push(reason),
      end: () => {},
    };
  }

  /** Answers in turn; an error is thrown. */
  function conductor(answers: (RunStatus | Error | undefined)[]) {
    return {
      spec: async () => spec,
      status: async () => {
        const answer = answers.shift();
        if (answer instanceof Error) throw answer;
        return answer;
      },
    };
  }

  test("waits for a conductor that is not there, and ends with the run", async () => {
    const screen = recorder();
    const answers = [
      new RunFailure("no way"),
      undefined,
      status(),
      status({ state: "complete", atMs: 40_000 }),
      status(),
    ];
    await follow(conductor(answers), new AbortController().signal, screen);
    expect(screen.shown).toEqual(["no way", "the conductor does not know the run yet", "measure", "complete"]);
    expect(answers).toHaveLength(1);
  });

  test("ends when told to stop, in the middle of a wait", async () => {
    const stop = new AbortController();
    const screen = recorder();
    screen.show = () => stop.abort();
    await follow(conductor([status(), status()]), stop.signal, screen);
    expect(stop.signal.aborted).toBe(true);
  });

  test("hides no defect of its own", async () => {
    const screen = recorder();
    await expect(follow(conductor([new TypeError("oops")]), new AbortController().signal, screen)).rejects.toThrow(
      "oops",
    );
  });
});
