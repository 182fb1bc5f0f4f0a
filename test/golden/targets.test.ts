import { readdir } from "node:fs/promises";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { loadExperiment } from "../../schema/load.ts";
import type { RenderedResource } from "../../stacks/render.ts";
import { sampleGraph } from "../../stacks/sample.ts";
import { targetNames } from "../../targets/modules.ts";
import { targetTraits } from "../../targets/programs.ts";

/**
 * Every example on every target. The graph on local is recorded in full by examples.test.ts; of the others what differs
 * is recorded, which is what the target declares and nothing else.
 */
const examples = (await readdir("examples")).filter((file) => /\.(ya?ml|ts)$/.test(file));
const others = targetNames.filter((name) => name !== "local");

interface Difference {
  readonly at: string;
  readonly local: unknown;
  readonly here: unknown;
}

async function graphOn(target: string, file: string): Promise<RenderedResource[]> {
  const { experiment } = await loadExperiment(`examples/${file}`);
  return await sampleGraph(experiment, { run: "sample", target: { ...(await targetTraits(target)), arch: "amd64" } });
}

/** Leaves that are not the same in two documents. */
function differences(local: unknown, here: unknown, at: string): Difference[] {
  if (JSON.stringify(local) === JSON.stringify(here)) return [];
  if (typeof local !== "object" || typeof here !== "object" || local === null || here === null) {
    return [{ at, local: local ?? "(absent)", here: here ?? "(absent)" }];
  }
  const keys = [...new Set([...Object.keys(local), ...Object.keys(here)])].sort();
  const child = (value: object, key: string): unknown => (value as Record<string, unknown>)[key];
  return keys.flatMap((key) => differences(child(local, key), child(here, key), `${at}.${key}`));
}

describe.each(examples)("%s", (file) => {
  test.each(others)("on %s differs from local in what the target declares only", async (target) => {
    const ours = await targetTraits("local");
    const traits = await targetTraits(target);
    const served = traits.ingressClass !== undefined;
    const here = await graphOn(target, file);
    const local = (await graphOn("local", file)).filter(({ type }) => served || !type.endsWith(":Ingress"));
    expect(here.map(({ urn }) => urn)).toEqual(local.map(({ urn }) => urn));
    const found = here.flatMap((resource, index) => differences(local[index], resource, resource.name));

    const traitNames = ["storageClass", "serviceCidr", "apiServerCidr", "ingressClass"] as const;
    const declared: [unknown, unknown][] = traitNames.map((key) => [ours[key] ?? "(absent)", traits[key] ?? "(absent)"]);
    if (!served) declared.push([{ namespaceSelector: {} }, "(absent)"]); // nothing comes in that serves Ingresses
    for (const { at, local: before, here: after } of found) {
      expect(declared, at).toContainEqual([before, after]);
    }
    const recorded = stringify(found, { sortMapEntries: true, aliasDuplicateObjects: false });
    await expect(recorded).toMatchFileSnapshot(resolve(`test/golden/${file}.${target}.differences.yaml`));
  });
});
