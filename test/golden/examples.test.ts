import { readdir } from "node:fs/promises";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { recordedGraph, recordGraph } from "../../ci/recorded.ts";
import { loadExperiment } from "../../schema/load.ts";

const examples = (await readdir("examples")).filter((file) => /\.(ya?ml|ts)$/.test(file));

describe("examples", () => {
  test("there are some", () => expect(examples).toContain("kv.yaml"));

  test.each(examples)("%s resolves and renders as recorded", async (name) => {
    const file = `examples/${name}`;
    const { experiment, warnings } = await loadExperiment(file);
    expect(warnings).toEqual([]);
    await expect(await recordGraph(experiment)).toMatchFileSnapshot(resolve(recordedGraph(file)));
  });
});
