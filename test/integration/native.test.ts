import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { OrreryHome } from "../../local/toolchain/home.ts";
import { execute } from "../support/cli.ts";
import { goEnvironment } from "../support/go.ts";

/** The tests of the parts that are not TypeScript, by their own runners; compiled into the user's tool cache. */
const home = OrreryHome.fromEnvironment();

test("the key-value node: cargo test", async () => {
  const target = process.env.CARGO_TARGET_DIR ?? join(home.cache, "cargo", "kv");
  const { code, stdout, stderr } = await execute("cargo", ["test", "--locked", "--quiet"], {
    cwd: "nodes/kv",
    env: { CARGO_TARGET_DIR: target },
  });
  expect(code, stdout + stderr).toBe(0);
  expect(stdout).toMatch(/test result: ok\. [1-9]/);
});

test("the kubernetes plugin and the ingress controller: go test", async () => {
  const { code, stdout, stderr } = await execute("go", ["test", "./plugin/...", "./toolchain/cmd/..."], {
    cwd: "local",
    env: goEnvironment,
  });
  expect(code, stdout + stderr).toBe(0);
  expect(stdout.match(/^ok\s/gm)?.length).toBeGreaterThan(1);
});

test("the agent of quorum nodes: go test", async () => {
  const { code, stdout, stderr } = await execute("go", ["test", "./agent"], {
    cwd: "nodes/quorum",
    env: goEnvironment,
  });
  expect(code, stdout + stderr).toBe(0);
  expect(stdout).toMatch(/^ok\s/m);
});

test("the workflows: actionlint", async () => {
  const folder = ".github/workflows";
  const files = (await readdir(folder)).map((name) => resolve(folder, name));
  expect(files.length).toBeGreaterThan(1);
  const options = { cwd: "test/tools", env: goEnvironment };
  const { code, stdout, stderr } = await execute("go", ["tool", "actionlint", ...files], options);
  expect(code, stdout + stderr).toBe(0);
});
