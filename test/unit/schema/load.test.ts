import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { InputError } from "../../../schema/errors.ts";
import { defineExperiment, loadExperiment, parseExperiment } from "../../../schema/load.ts";

const good = `schema: orrery/v1
name: kv
network: {system: kv}
workload:
  operations: {put: 1, get: 9}
  arrival: {rate: 100/s}
  phases: {measure: 10s}
`;

function problemsOf(text: string): string[] {
  try {
    parseExperiment(text, "x.yaml");
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return String((error as InputError).message).split("\n");
  }
  return [];
}

describe("an experiment file", () => {
  test("gets every default, and quantities become numbers", () => {
    expect(parseExperiment(good, "x.yaml").experiment).toMatchObject({
      seed: 1,
      network: { system: "kv", replicas: 3, storage: 2 ** 30, electionTimeout: 500 },
      workload: {
        workers: 1,
        arrival: { rate: 100, process: "uniform" },
        phases: { warmup: 5_000, measure: 10_000, cooldown: 2_000 },
        parameters: { keys: 1_000, valueSize: 128, distribution: "uniform" },
      },
      faults: [],
      objectives: [],
    });
  });

  test("takes objectives on replication where it is observed", () => {
    const { experiment } = parseExperiment(
      `${good}observe: {replication: {deadline: 3s}}
objectives: [{metric: replicated_ratio, min: 1}, {metric: replication.2.p999, max: 1s}, {metric: replication.majority.p50, max: 5ms}]
`,
      "x.yaml",
    );
    expect(experiment.observe.replication).toEqual({ deadline: 3_000 });
    expect(experiment.objectives.map(({ kind }) => kind)).toEqual(["ratio", "duration", "duration"]);
  });

  test("reports every problem at once, each with line and path", () => {
    const problems = problemsOf(`schema: orrery/v1
name: Upper
network:
  system: kv
  replica: 5
  replicas: 0
workload:
  operations: {put: 1}
  arrival: {rate: fast}
  phases: {measure: 10s}
  workers: 100000
`);
    expect(problems).toEqual([
      expect.stringMatching(/^x\.yaml:2 name: /),
      expect.stringMatching(/^x\.yaml:6 network\.replicas: 0: /),
      expect.stringMatching(/^x\.yaml:5 network\.replica: unknown key "replica"\. Known here: .*replicas/),
      expect.stringMatching(/^x\.yaml:9 workload\.arrival\.rate: "fast" is not a rate; write "500\/s"/),
      expect.stringMatching(/^x\.yaml:11 workload\.workers: 100000: /),
    ]);
  });

  test.each([
    ["not YAML", "a: [1", /not valid YAML/],
    ["a key twice", `${good}name: other\n`, /not valid YAML: .*unique/],
    ["no mapping", "- 1\n", /is a mapping/],
    ["no system", good.replace("{system: kv}", "{}"), /x\.yaml:3 network\.system: no system is named/],
    ["a system nobody knows", good.replace("system: kv", "system: etcd"), /no system "etcd".*Write one of .*\bkv/],
    ["a newer version", good.replace("orrery/v1", "orrery/v9"), /"orrery\/v9" is not a version/],
    ["an unknown operation", good.replace("put: 1", "push: 1"), /unknown key "push"|push/],
    ["no operation", good.replace("{put: 1, get: 9}", "{}"), /name at least one operation/],
    ["both arrivals", good.replace("{rate: 100/s}", "{rate: 100/s, users: 3}"), /arrival is open|unknown key/],
    [
      "replication judged and not observed",
      `${good}objectives: [{metric: replicated_ratio, min: 1}]\n`,
      /replication is not observed/,
    ],
    [
      "a member that is not there",
      `${good}observe: {replication: {}}\nobjectives: [{metric: replication.3.p99, max: 1s}]\n`,
      /there is no member 3 among 3/,
    ],
    [
      "a share of replication that is none",
      `${good}observe: {replication: {}}\nobjectives: [{metric: replication.all.p99, max: 1s}]\n`,
      /no metric "replication\.all\.p99"/,
    ],
    ["a fault past the end", `${good}faults: [{at: 10s, kind: kill, target: {role: leader}}]\n`, /faults\[0\]\.at/],
    [
      "a pause past the end",
      `${good}faults: [{at: 4s, for: 6s, kind: pause, target: {role: leader}}]\n`,
      /faults\[0\]\.for.*nothing would be measured after/s,
    ],
    [
      "a pause without a length",
      `${good}faults: [{at: 1s, kind: pause, target: {role: leader}}]\n`,
      /faults\[0\]\.for/,
    ],
    ["a fault on nobody", `${good}faults: [{at: 1s, kind: kill, target: {ordinal: 3}}]\n`, /no member 3 among 3/],
    ["a role nobody holds", `${good}faults: [{at: 1s, kind: kill, target: {role: king}}]\n`, /faults\[0\]\.target/],
    [
      "too many victims",
      `${good}faults: [{at: 1s, kind: kill, target: {role: follower, count: 4}}]\n`,
      /4 members cannot be hit/,
    ],
    ["an unknown metric", `${good}objectives: [{metric: speed, min: 1}]\n`, /no metric "speed"/],
    ["an objective without bounds", `${good}objectives: [{metric: success_ratio}]\n`, /judges nothing/],
    ["a bound of the wrong kind", `${good}objectives: [{metric: get.latency.p99, max: 5}]\n`, /does not bound/],
    ["an objective on an absent operation", `${good}objectives: [{metric: delete.rate, min: 1/s}]\n`, /no "delete"/],
    ["failover without a fault", `${good}objectives: [{metric: failover, max: 1s}]\n`, /no fault is planned/],
  ])("refuses %s", (_, text, message) => {
    expect(problemsOf(text).join("\n")).toMatch(message);
  });

  test("an even number of members only warns", () => {
    const { warnings } = parseExperiment(good.replace("{system: kv}", "{system: kv, replicas: 4}"), "x.yaml");
    expect(warnings).toEqual([expect.objectContaining({ path: "network.replicas", at: "x.yaml:3" })]);
  });

  test("may be a TypeScript module, with the same result", async () => {
    const folder = await mkdtemp(join(tmpdir(), "orrery-schema-"));
    const file = join(folder, "experiment.ts");
    const object = {
      schema: "orrery/v1",
      name: "kv",
      network: { system: "kv" },
      workload: { operations: { put: 1, get: 9 }, arrival: { rate: "100/s" }, phases: { measure: "10s" } },
    } as const;
    await writeFile(file, `export const experiment = ${JSON.stringify(object)};\n`);
    expect((await loadExperiment(file)).experiment).toEqual(parseExperiment(good, "x.yaml").experiment);
    expect(defineExperiment(object)).toEqual(parseExperiment(good, "x.yaml").experiment);
  });

  test("that is not there is one clear error", async () => {
    await expect(loadExperiment("nowhere.yaml")).rejects.toThrow(/nowhere\.yaml: there is no such file/);
  });
});
