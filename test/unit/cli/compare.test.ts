import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { baselineCommand } from "../../../cli/commands/baseline.ts";
import { compareCommand } from "../../../cli/commands/compare.ts";
import { createConsole } from "../../../cli/console.ts";
import type { Session } from "../../../cli/session.ts";
import { comparisonSchema } from "../../../schema/comparison.ts";
import { InputError } from "../../../schema/errors.ts";
import { orrery } from "../../support/cli.ts";
import { cutFile, logNormal, makeRunFolder, type RunOptions } from "../../support/results.ts";

const folder = await mkdtemp(join(tmpdir(), "orrery-compare-"));
const results = join(folder, "results");
const baselines = join(folder, "baselines");
const places = ["--results", results, "--baselines", baselines];
const metrics = ["--metric", "get.latency.p50,achieved_ratio,lost_writes"];

/** Short runs of a network this much slower than usual. */
async function makeRuns(ids: readonly string[], slowdown: number, other: RunOptions = {}): Promise<void> {
  for (const [index, run] of ids.entries()) {
    await makeRunFolder(join(results, "kv", run), {
      run,
      seed: Math.round(1_000 * slowdown) + index,
      ratePerSecond: 100,
      warmupMs: 1_000,
      measureMs: 12_000,
      killAtMs: null,
      serviceMs: (random) => logNormal(random, 2 * slowdown, 0.3),
      ...other,
    });
  }
}

const ids = (day: number, count = 6): string[] =>
  Array.from({ length: count }, (_, index) => `202601${day}-12000${index}`);
const [before, same, slow] = [ids(10), ids(11), ids(12)];
const damaged = "20260113-120000";
const wider = "20260114-120000";

beforeAll(async () => {
  await makeRuns(before, 1);
  await makeRuns(same, 1.001);
  await makeRuns(slow, 1.3);
  await makeRuns([damaged], 1);
  await cutFile(join(results, "kv", damaged), "workers/0/worker.json");
  await makeRuns([wider], 1, { workers: 3 });
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a command in this process; the exit code is the one it leaves, or 3 for input it refuses. */
async function call(...args: string[]): Promise<{ code: number; text: string; data: unknown; remarks: string }> {
  const before = process.exitCode;
  const said = { text: "", data: undefined as unknown, remarks: "" };
  const remark = (text: string): void => {
    said.remarks += `${text}\n`;
  };
  const start = (): Session => ({
    console: {
      ...createConsole(false),
      info: remark,
      warn: remark,
      result: (text, data) => Object.assign(said, { text, data }),
    },
    signals: { command: new AbortController().signal, children: new AbortController().signal },
  });
  process.exitCode = 0;
  try {
    const program = new Command().exitOverride().addCommand(compareCommand(start)).addCommand(baselineCommand(start));
    await program.parseAsync([...args, ...places.slice(args[0] === "baseline" ? 2 : 0)], { from: "user" });
    return { code: Number(process.exitCode), ...said };
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return { code: 3, ...said, remarks: String((error as InputError).message) };
  } finally {
    process.exitCode = before;
  }
}

const compare = (...args: string[]) => call("compare", ...args);

describe("orrery compare", () => {
  test("passes like runs with exit code 0 and leaves comparison.json with the candidate's newest run", async () => {
    const outcome = await compare(before.join(), same.map((run) => `kv/${run}`).join(), ...metrics);
    expect(outcome.code, outcome.remarks).toBe(0);
    const comparison = comparisonSchema.parse(outcome.data);
    expect(comparison.outcome).toBe("pass");
    const written = await readFile(join(results, "kv", same.at(-1) ?? "", "comparison.json"), "utf8");
    expect(JSON.parse(written)).toEqual(comparison);
  });

  test("finds a regression with exit code 1, and writes it as Markdown", async () => {
    const markdown = join(folder, "comparison.md");
    const outcome = await orrery(["compare", before.join(), slow.join(), "--markdown", markdown, ...places]);
    expect(outcome.code, outcome.stderr).toBe(1);
    expect(outcome.stdout).toMatch(/^REGRESSION .*get\.latency\.p50/);
    expect(outcome.stdout).toMatch(/worse +get\.latency\.p50 .*\+(2|3)\d(\.\d)? %/);
    const text = await readFile(markdown, "utf8");
    expect(text).toMatch(/^### Regression: /);
    expect(text).toMatch(/\| worse \| `get\.latency\.p50` \|/);
  });

  test("asks for more runs with exit code 5", async () => {
    const outcome = await compare(before[0] ?? "", slow[0] ?? "", ...metrics);
    expect(outcome.code, outcome.remarks).toBe(5);
    expect(outcome.text).toMatch(/^INCONCLUSIVE/);
    expect(outcome.text).toMatch(/About \d+ more runs a side would probably settle it/);
  });

  test("refuses invalid runs with exit code 2, unless they are to be left out", async () => {
    const candidate = [...same, damaged].join();
    const refused = await compare(before.join(), candidate, ...metrics);
    expect(refused.code, refused.remarks).toBe(2);
    expect(refused.text).toContain(`kv/${damaged} of the candidate is invalid (results-damaged)`);
    const without = await compare(before.join(), candidate, ...metrics, "--leave-out-invalid");
    expect(without.code, without.remarks).toBe(0);
    expect(comparisonSchema.parse(without.data).left_out).toMatchObject([{ run: damaged }]);
  });

  test.each<[string, string[], RegExp]>([
    ["a run that is not there", ["20260101-000000", same[0] ?? ""], /there is no such run/],
    ["one argument", [same[0] ?? ""], /one argument says not which runs are the baseline/],
    ["runs of another shape", [before[0] ?? "", wider], /workload\.workers: the runs differ in it: 2 in .*, 3 in/],
    [
      "a threshold without unit",
      [before[0] ?? "", same[0] ?? "", "--threshold", "get.rate=5"],
      /changes of get\.rate are written "2%", not "2"/,
    ],
  ])("refuses %s", async (_, args, message) => {
    const outcome = await compare(...args);
    expect(outcome.remarks).toMatch(message);
    expect(outcome.code).toBe(3);
  });
});

describe("orrery baseline", () => {
  const baseline = (...args: string[]) => call("baseline", ...args);

  test("stores runs that outlive their folders, lists and removes them", async () => {
    const gone = ids(15);
    await makeRuns(gone, 1.002);
    const set = await baseline("set", "main", ...gone, "--results", results);
    expect(set.code, set.remarks).toBe(0);
    await Promise.all(gone.map((run) => rm(join(results, "kv", run), { recursive: true })));
    expect((await baseline("ls")).text).toMatch(/^main {2}kv {2}6 runs/);
    const outcome = await compare("--baseline", "main", ...slow);
    expect(outcome.code, outcome.remarks).toBe(1);
    expect(outcome.text).toContain("baseline  main, 6 runs");
    expect((await baseline("rm", "main")).code).toBe(0);
    expect((await baseline("ls")).text).toMatch(/no baselines yet/);
    expect((await baseline("rm", "main")).code).toBe(3);
  });

  test("is not made of invalid runs, of unlike runs, or under a name that could be a run", async () => {
    const set = (...args: string[]) => baseline("set", ...args, "--results", results);
    expect((await set("other", damaged)).code).toBe(2);
    expect((await set("other", before[0] ?? "", wider)).code).toBe(3);
    const named = await set("2026", before[0] ?? "");
    expect(named.code).toBe(3);
    expect(named.remarks).toMatch(/this is no name for a baseline/);
    expect((await baseline("ls")).text).toMatch(/no baselines yet/);
  });
});
