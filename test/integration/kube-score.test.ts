import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { loadExperiment } from "../../schema/load.ts";
import { manifests } from "../../stacks/manifests.ts";
import { sampleGraph } from "../../stacks/sample.ts";
import { targetTraits } from "../../targets/programs.ts";
import { execute } from "../support/cli.ts";
import { goEnvironment } from "../support/go.ts";

/** kube-score's own output, as far as it is read. */
const outputSchema = z.array(
  z.object({
    type_meta: z.object({ kind: z.string() }),
    object_meta: z.object({ name: z.string() }),
    checks: z.array(z.object({ check: z.object({ id: z.string() }), grade: z.number(), skipped: z.boolean() })),
  }),
);
const critical = 1;

const exceptions = z
  .array(z.strictObject({ check: z.string(), objects: z.array(z.string()).optional(), why: z.string() }))
  .parse(parse(await readFile("test/golden/kube-score-exceptions.yaml", "utf8")));
const examples = (await readdir("examples")).filter((file) => /\.(ya?ml|ts)$/.test(file));
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "orrery-score-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Critical findings of manifests, as `check, Kind name`. */
async function findings(text: string): Promise<{ readonly check: string; readonly object: string }[]> {
  const file = join(folder, "manifests.yaml");
  await writeFile(file, text);
  const args = ["tool", "kube-score", "score", "--output-format", "json", file];
  const { stdout, stderr } = await execute("go", args, { cwd: "test/tools", env: goEnvironment });
  expect(stdout, stderr).toMatch(/^\[/);
  return outputSchema
    .parse(JSON.parse(stdout))
    .flatMap(({ type_meta: { kind }, object_meta: { name }, checks }) =>
      checks
        .filter(({ grade, skipped }) => grade === critical && !skipped)
        .map(({ check }) => ({ check: check.id, object: `${kind} ${name}` })),
    );
}

const isAccepted = ({ check, object }: { readonly check: string; readonly object: string }): boolean =>
  exceptions.some((one) => one.check === check && (one.objects?.includes(object) ?? true));

test.each(["local", "kind", "eks"] as const)(
  "no critical finding on %s but those that were reviewed",
  async (target) => {
    const used = new Set<string>();
    for (const example of examples) {
      const { experiment } = await loadExperiment(join("examples", example));
      const found = await findings(
        manifests(await sampleGraph(experiment, { run: "sample", target: await targetTraits(target) })),
      );
      expect(found.filter((finding) => !isAccepted(finding))).toEqual([]);
      for (const { check } of found) used.add(check);
    }
    expect(exceptions.map(({ check }) => check).filter((check) => !used.has(check))).toEqual([]);
  },
);

test("a container that runs as root is found", async () => {
  const { experiment } = await loadExperiment("examples/kv.yaml");
  const text = manifests(await sampleGraph(experiment)).replaceAll(
    "allowPrivilegeEscalation: false",
    "privileged: true",
  );
  const found = (await findings(text)).filter((finding) => !isAccepted(finding));
  expect(found.map(({ check }) => check)).toContain("container-security-context-privileged");
});
