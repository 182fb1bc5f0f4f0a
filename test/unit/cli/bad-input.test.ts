import { mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { orrery } from "../../support/cli.ts";

const folder = await mkdtemp(join(tmpdir(), "orrery-cli-"));
const home = join(folder, "home");
const environment = { ORRERY_HOME: home, KUBECONFIG: join(folder, "kubeconfig") };
const experiment = await readFile("examples/kv.yaml", "utf8");

async function written(name: string, text: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, text);
  return file;
}

beforeAll(async () => {
  await written(
    "kubeconfig",
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "gone", cluster: { server: "https://127.0.0.1:9" } }],
      users: [{ name: "nobody", user: {} }],
      contexts: [{ name: "gone", context: { cluster: "gone", user: "nobody" } }],
    }),
  );
});

describe("bad input ends with exit code 3, one clear error and nothing made", () => {
  test.each<[string, () => Promise<string[]> | string[], RegExp]>([
    ["no command of that name", () => ["rnu"], /unknown command 'rnu'/],
    ["an unknown option", () => ["run", "examples/kv.yaml", "--fast"], /unknown option '--fast'/],
    ["no file", () => ["run", "nowhere.yaml"], /nowhere\.yaml: there is no such file/],
    [
      "an unknown key",
      async () => ["run", await written("key.yaml", `${experiment}\nspeed: 1\n`)],
      /unknown key "speed"/,
    ],
    [
      "an absurd count",
      async () => ["up", await written("count.yaml", experiment.replace("replicas: 3", "replicas: 5000"))],
      /network\.replicas: 5000/,
    ],
    ["an unknown target", () => ["run", "examples/kv.yaml", "--target", "moon"], /no target "moon"/],
    [
      "a context that is not there",
      () => ["run", "examples/kv.yaml", "--context", "other"],
      /no context "other".*\n?.*gone/,
    ],
    [
      "a cluster that does not answer",
      () => ["run", "examples/kv.yaml", "--context", "gone"],
      /127\.0\.0\.1:9 does not answer/,
    ],
    [
      "an image option without a reference",
      () => ["run", "examples/kv.yaml", "--context", "gone", "--image", "kv"],
      /names no image/,
    ],
    ["a run that is not there", () => ["report", "kv/20200101-000000"], /no such run/],
  ])("%s", async (_, args, message) => {
    const outcome = await orrery(await args(), environment);
    expect(outcome.stderr).toMatch(message);
    expect(outcome.stderr).not.toMatch(/\n\s+at /); // no stack trace
    expect(outcome.code).toBe(3);
    await expect(readdir(home)).rejects.toThrow(/ENOENT/);
  });
});

describe("without a cluster", () => {
  test("render prints manifests that parse, and no private key", async () => {
    const { code, stdout } = await orrery(["render", "examples/kv.yaml"], environment);
    expect(code).toBe(0);
    expect(stdout.match(/^kind: StatefulSet$/gm)).toHaveLength(1);
    expect(stdout).toContain("(secret)");
    expect(stdout).not.toMatch(/group-key: [0-9a-f]{64}/);
  });

  test("preview shows the whole plan and says so", async () => {
    const { code, stdout, stderr } = await orrery(["preview", "examples/kv.yaml"], environment);
    expect(stderr).toMatch(/no local cluster runs/);
    expect(stdout).toMatch(/StatefulSet {2}kv/);
    expect(code).toBe(0);
  });

  test("an even number of members warns and goes on", async () => {
    const file = await written("even.yaml", experiment.replace("replicas: 3", "replicas: 4"));
    const { code, stderr } = await orrery(["render", file], environment);
    expect(stderr).toMatch(/warning: .*4 members tolerate no more failures than 3/);
    expect(code).toBe(0);
  });
});
