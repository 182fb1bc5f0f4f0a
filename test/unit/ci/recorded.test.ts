import { execFileSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { changesSince } from "../../../ci/changes.ts";
import { previewOf } from "../../../ci/preview.ts";
import { recordedChanges, recordedDifferences, recordedGraph, recordGraph } from "../../../ci/recorded.ts";
import { EnvironmentError } from "../../../schema/errors.ts";
import { loadExperiment } from "../../../schema/load.ts";

const example = "examples/kv.yaml";
let project: string;

function git(...args: string[]): void {
  const identity = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"];
  execFileSync("git", [...identity, "-C", project, ...args], { stdio: "pipe" });
}

async function edit(replace: (text: string) => string): Promise<void> {
  const file = join(project, example);
  await writeFile(file, replace(await readFile(file, "utf8")));
}

const preview = async (files = [example], targets = ["local"]) => {
  const changes = await changesSince(project, "main");
  return previewOf(changes, await recordedChanges(project, changes, files, targets));
};

beforeEach(async () => {
  project = await mkdtemp(join(tmpdir(), "orrery-preview-"));
  await mkdir(join(project, "examples"));
  await mkdir(join(project, "test/golden"), { recursive: true });
  await cp(example, join(project, example));
  const { experiment } = await loadExperiment(join(project, example));
  await writeFile(join(project, recordedGraph(example)), await recordGraph(experiment));
  await cp(recordedDifferences(example, "eks"), join(project, recordedDifferences(example, "eks")));
  git("init", "--quiet", "--initial-branch", "main");
  git("add", "--all");
  git("commit", "--quiet", "--message", "base");
  git("checkout", "--quiet", "-b", "change");
});
afterEach(() => rm(project, { recursive: true, force: true }));

test("a change of the experiment shows as a change of its stack, and its totals", async () => {
  await edit((text) => text.replace("storage: 1Gi", "storage: 2Gi"));
  git("commit", "--quiet", "--all", "--message", "bigger");
  const { stacks, unchanged } = await preview();
  expect(unchanged).toEqual([]);
  expect(stacks).toMatchObject([{ stack: "kv-local", source: "graphs" }]);
  const replaced = stacks[0]?.changes.filter(({ kind }) => kind === "replace") ?? [];
  expect(replaced.some(({ type, stateful }) => type === "kubernetes:apps/v1:StatefulSet" && stateful)).toBe(true);
  expect((stacks[0]?.after?.storage ?? 0) - (stacks[0]?.before?.storage ?? 0)).toBe(3 * 2 ** 30);
});

test("on other targets the same change shows with what the target declares, and what it costs there", async () => {
  await edit((text) => text.replace("storage: 1Gi", "storage: 100Gi"));
  git("commit", "--quiet", "--all", "--message", "bigger");
  const { stacks } = await preview([example], ["local", "eks"]);
  expect(stacks.map(({ stack, target }) => [stack, target])).toEqual([
    ["kv-local", "local"],
    ["kv-eks", "eks"],
  ]);
  const [local, eks] = stacks;
  expect(eks?.changes.map(({ kind, type }) => `${kind} ${type}`)).toEqual(
    local?.changes.map(({ kind, type }) => `${kind} ${type}`),
  );
  expect(eks?.changes.find(({ type }) => type.endsWith(":StatefulSet"))?.diff).toMatch(/^ +storageClassName: gp3$/m);
  expect(local?.costPerHour).toBeUndefined();
  const { before, after } = eks?.costPerHour ?? {};
  expect((after ?? 0) - (before ?? 0)).toBeCloseTo((3 * 99 * 0.08) / 730, 6); // three volumes by eks/cost.ts
});

test("what changes nothing changes nothing on any target", async () => {
  const targets = ["local", "eks"];
  expect(await preview([example], targets)).toMatchObject({ stacks: [], unchanged: ["kv-local", "kv-eks"] });
});

test("what changes nothing is listed as unchanged", async () => {
  await edit((text) => `# a remark\n${text}`);
  git("commit", "--quiet", "--all", "--message", "remark");
  expect(await preview()).toMatchObject({ stacks: [], unchanged: ["kv-local"] });
});

test("a mistake in the experiment is the stack's error, with file and line", async () => {
  await edit((text) => text.replace("replicas: 3", "replicas: none"));
  git("commit", "--quiet", "--all", "--message", "mistake");
  const { stacks } = await preview();
  expect(stacks[0]?.error).toMatch(/kv\.yaml:\d+ network\.replicas/);
});

test("a new experiment is created whole, a removed one deleted whole", async () => {
  await cp(join(project, example), join(project, "examples/second.yaml"));
  await rm(join(project, example));
  await rm(join(project, recordedGraph(example)));
  git("add", "--all");
  git("commit", "--quiet", "--message", "instead");
  const { stacks } = await preview(["examples/second.yaml"]);
  expect(stacks.map(({ changes }) => new Set(changes.map(({ kind }) => kind)))).toEqual([
    new Set(["create"]),
    new Set(["delete"]),
  ]);
  expect(stacks[1]?.after).toBeNull();
});

test("a base that is not there is one clear error", async () => {
  await expect(changesSince(project, "origin/nowhere")).rejects.toThrow(EnvironmentError);
});
