import { readdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { loadExperiment } from "../../schema/load.ts";
import { graphOf } from "../support/graph.ts";

const folder = resolve("examples");
const examples = (await readdir(folder)).filter((file) => /\.(ya?ml|ts)$/.test(file));

describe("examples", () => {
  test("there are some", () => expect(examples).toContain("kv.yaml"));

  test.each(examples)("%s resolves and renders as recorded", async (file) => {
    const { experiment, warnings } = await loadExperiment(join(folder, file));
    expect(warnings).toEqual([]);
    const graph = await graphOf(experiment, { run: "sample" });
    const recorded = stringify({ experiment, graph }, { sortMapEntries: true, aliasDuplicateObjects: false });
    await expect(recorded).toMatchFileSnapshot(`${basename(file)}.golden.yaml`);
  });
});
