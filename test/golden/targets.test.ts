import { readdir } from "node:fs/promises";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { recordedDifferences } from "../../ci/recorded.ts";
import { targetDifferences, withDifferences } from "../../ci/target-differences.ts";
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

async function graphOn(target: string, file: string): Promise<RenderedResource[]> {
  const { experiment } = await loadExperiment(`examples/${file}`);
  return await sampleGraph(experiment, { run: "sample", target: { ...(await targetTraits(target)), arch: "amd64" } });
}

describe.each(examples)("%s", (file) => {
  test.each(others)("on %s differs from local in what the target declares only", async (target) => {
    const ours = await targetTraits("local");
    const traits = await targetTraits(target);
    const served = traits.ingressClass !== undefined;
    const here = await graphOn(target, file);
    const local = await graphOn("local", file);
    const found = targetDifferences(local, here);

    const traitNames = ["storageClass", "serviceCidr", "apiServerCidr", "ingressClass"] as const;
    const declared: [unknown, unknown][] = traitNames.map((key) => [ours[key] ?? "(absent)", traits[key] ?? "(absent)"]);
    if (!served) declared.push([{ namespaceSelector: {} }, "(absent)"]); // nothing comes in that serves Ingresses
    for (const { at, local: before, here: after } of found) {
      if (!served && at.includes(":Ingress::")) continue;
      expect(declared, at).toContainEqual([before, after]);
    }
    const recorded = stringify(found, { sortMapEntries: true, aliasDuplicateObjects: false });
    await expect(recorded).toMatchFileSnapshot(resolve(recordedDifferences(file, target)));
    // What is recorded is enough to have the target's graph back: previews of pull requests are made of it.
    expect(withDifferences(local, parse(recorded))).toEqual(JSON.parse(JSON.stringify(here)));
  });
});
