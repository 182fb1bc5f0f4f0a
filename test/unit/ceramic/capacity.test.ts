import { expect, test } from "vitest";
import { sampleGraph } from "../../../stacks/sample.ts";
import { capacityChecks, type Room } from "../../../targets/capacity.ts";
import { needsOf } from "../../../targets/needs.ts";
import { loadExample } from "../../support/experiments.ts";

const gibi = 2 ** 30;
const experiment = await loadExample("ceramic", "ceramic-10.yaml");
const needs = needsOf(await sampleGraph(experiment, { run: "sample" }));
const failing = (cpu: number, memory: number): string[] => {
  const room: Room = {
    version: "v1.34.4",
    nodes: [{ name: "one", cpu, memory, pods: 110 }],
    apiVersions: needs.kinds.map((kind) => kind.split(" ")[0] ?? ""),
    storageClasses: [{ name: "standard", isDefault: true }],
    images: needs.images,
    limits: [],
    refused: [],
  };
  return capacityChecks(needs, room).flatMap(({ status, name }) => (status === "fail" ? [name] : []));
};

test("ten peers ask for what both their containers request, sidecar and init container included", () => {
  const byWorkload = Object.groupBy(needs.pods, (pod) => pod.workload);
  const large = byWorkload["StatefulSet large"];
  const small = byWorkload["StatefulSet small"];
  expect([large?.length, small?.length]).toEqual([3, 7]);
  expect(large?.[0]).toMatchObject({ cpu: 0.6, memory: 1.25 * gibi, volumes: [10 * gibi, 10 * gibi] });
  expect(small?.[0]?.cpu).toBeCloseTo(0.3);
  expect(small?.[0]).toMatchObject({ memory: 0.75 * gibi, volumes: [gibi, gibi] });
});

test("ten peers fit a node of 8 cores and 16 GiB, and neither half the cores nor half the memory", () => {
  expect(failing(8, 16 * gibi)).toEqual([]);
  expect(failing(4, 16 * gibi)).not.toEqual([]);
  expect(failing(8, 8 * gibi)).not.toEqual([]);
});
