import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { imagesOf } from "../../components/images.ts";
import { OrreryHome } from "../../local/toolchain/home.ts";
import { loadExperiment } from "../../schema/load.ts";
import { type Summary, summarySchema } from "../../schema/summary.ts";
import { execute, orrery } from "../support/cli.ts";
import { type DockerEngine, dockerEngine } from "../support/docker-engine.ts";

/** A cluster of two nodes made by kind, a run with a killed leader on it, its page through the Ingress, and its end. */
const name = "kind-trial";
const cluster = `trial-${process.pid}`;
const domain = "orrery.test";
const experiment = `schema: orrery/v1
name: ${name}
seed: 5
network: {system: kv, replicas: 3, storage: 64Mi, cpu: 100m, memory: 128Mi}
workload:
  operations: {put: 1, get: 1}
  arrival: {rate: 20/s}
  phases: {warmup: 3s, measure: 20s, cooldown: 2s}
faults:
  - {at: 5s, kind: kill, target: {role: leader}}
observe: {prometheus: true, ingress: ${domain}}
objectives:
  - {metric: lost_writes, max: 0}
`;

describe("kind", () => {
  let folder: string;
  let engine: DockerEngine;
  let file: string;
  const options = () => ["--target", "kind", "-T", `cluster=${cluster}`, "nodes=2"];
  const env = () => ({ ORRERY_HOME: OrreryHome.fromEnvironment().root, ...engine.env });
  /** The command where the ports of the engine are. */
  const inside = (args: readonly string[]) => {
    const [program = process.execPath, ...before] = [...engine.enter, process.execPath];
    const onStderr = (text: string) => void process.stderr.write(text);
    return execute(program, [...before, resolve("cli/orrery.js"), ...args], { env: env(), onStderr });
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "orrery-kind-"));
    file = join(folder, "experiment.yaml");
    await writeFile(file, experiment);
    // Built here, where package registries are; a private engine has no network.
    const images = [...imagesOf((await loadExperiment(file)).experiment, true), "ingress"];
    engine = await dockerEngine(folder);
    const node = engine.enter.length === 0 ? [] : ["kind-node"];
    const built = await orrery(["images", "build", ...images, ...node]);
    expect(built.code, built.stderr).toBe(0);
  });

  afterAll(async () => {
    if (engine !== undefined) {
      const down = await inside(["kind", "down", "--name", cluster]);
      await engine.stop();
      expect(down.code, down.stderr).toBe(0);
    }
    await rm(folder, { recursive: true, force: true });
  });

  test("a run on two nodes loses no write when the leader is killed", async () => {
    const node = engine.enter.length === 0 ? [] : ["node-image=built"];
    const results = join(folder, "results");
    const outcome = await inside(["run", file, ...options(), ...node, "--results", results, "--json"]);
    expect([0, 2], outcome.stderr).toContain(outcome.code); // a loaded machine may make it invalid
    const summary: Summary = summarySchema.parse(JSON.parse(outcome.stdout));
    expect(summary.environment).toMatchObject({ target: "kind" });
    expect(summary.durability).toMatchObject({ lost: 0 });
    expect(summary.faults).toMatchObject([{ kind: "kill", applied: true, members: [{ crashed: true }] }]);
  });

  test("its page is reached through the Ingress, at the address of the first node", async () => {
    const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    const node = await execute("docker", ["inspect", "--format", format, `${cluster}-control-plane`], { env: env() });
    const url = `http://${node.stdout.trim()}/-/ready`;
    const fetchIt = (host: string) =>
      `require("node:http").get(${JSON.stringify(url)}, ` +
      `{headers: {host: ${JSON.stringify(host)}}}, (answer) => { console.log(answer.statusCode); answer.resume(); })`;
    const [program = process.execPath, ...before] = [...engine.enter, process.execPath];
    const ask = (host: string) => execute(program, [...before, "-e", fetchIt(host)]);
    expect((await ask(`prometheus.${domain}`)).stdout.trim()).toBe("200");
    expect((await ask(`nobody.${domain}`)).stdout.trim()).toBe("404");
  });

  test("destroy leaves nothing of it in the cluster", async () => {
    const destroyed = await inside(["destroy", file, ...options(), "--remove"]);
    expect(destroyed.code, destroyed.stderr).toBe(0);
  });
});
