import { describe, expect, test } from "vitest";
import { changedImages } from "../../../ci/changes.ts";
import { footprintOf } from "../../../ci/footprint.ts";
import { diffGraphs } from "../../../ci/graph-diff.ts";
import type { RenderedResource } from "../../../stacks/render.ts";
import { sampleGraph } from "../../../stacks/sample.ts";
import { loadExample } from "../../support/experiments.ts";

const experiment = await loadExample("kv", "kv.yaml");
const graph = await sampleGraph(experiment, { run: "sample" });

const resource = (inputs: Record<string, unknown>, secrets: string[] = []): RenderedResource => ({
  type: `kubernetes:core/v1:${String(inputs.kind)}`,
  name: "one",
  urn: `urn:pulumi:render::orrery::kubernetes:core/v1:${String(inputs.kind)}::one`,
  custom: true,
  inputs,
  secrets,
});
const configMap = (data: Record<string, string>, immutable = false) =>
  resource({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "settings" },
    data,
    ...(immutable && { immutable }),
  });
const secret = (token: string) =>
  resource({ apiVersion: "v1", kind: "Secret", metadata: { name: "keys" }, stringData: { token } }, ["stringData"]);

describe("the difference of two graphs", () => {
  test("nothing changes between equal graphs", () => expect(diffGraphs(graph, structuredClone(graph))).toEqual([]));

  test("everything is created where there was nothing, and deleted where nothing is left", () => {
    const objects = graph.filter((one) => one.type.startsWith("kubernetes:")).length;
    expect(diffGraphs([], graph).filter((change) => change.kind === "create")).toHaveLength(objects);
    expect(diffGraphs(graph, []).filter((change) => change.kind === "delete")).toHaveLength(objects);
  });

  test("more replicas update the StatefulSet in place; a larger volume replaces it", async () => {
    const network = experiment.network;
    const wider = await sampleGraph({ ...experiment, network: { ...network, replicas: 5 } }, { run: "sample" });
    const sets = (after: RenderedResource[]) =>
      diffGraphs(graph, after).filter((change) => change.type === "kubernetes:apps/v1:StatefulSet");
    expect(sets(wider)).toMatchObject([{ kind: "update", because: [], stateful: true }]);
    const larger = await sampleGraph({ ...experiment, network: { ...network, storage: 2 ** 31 } }, { run: "sample" });
    const [replaced] = sets(larger);
    expect(replaced).toMatchObject({ kind: "replace", stateful: true });
    expect(replaced?.because).toEqual(["spec.volumeClaimTemplates.0.spec.resources.requests.storage"]);
    expect(replaced?.diff).toMatch(/^-\s+storage: 1Gi$\n^\+\s+storage: 2Gi$/m);
  });

  test("a ConfigMap changes in place unless it is immutable", () => {
    const kind = (before: RenderedResource, after: RenderedResource) => diffGraphs([before], [after])[0]?.kind;
    expect(kind(configMap({ a: "1" }), configMap({ a: "2" }))).toBe("update");
    expect(kind(configMap({ a: "1" }, true), configMap({ a: "2" }, true))).toBe("replace");
    expect(
      kind(configMap({ a: "1" }), {
        ...configMap({ a: "1" }),
        inputs: { ...configMap({ a: "1" }).inputs, metadata: { name: "other" } },
      }),
    ).toBe("replace");
  });

  test("secret values are never shown", () => {
    const [changed] = diffGraphs([secret("first-value")], [secret("second-value")]);
    expect(changed).toMatchObject({
      kind: "replace",
      because: ["stringData.token"],
      diff: "  only secret values change",
    });
    const [created] = diffGraphs([], [secret("first-value")]);
    expect(created?.diff).toContain("+  token: (secret)");
    expect(JSON.stringify(diffGraphs([secret("first-value")], []))).not.toContain("first-value");
  });
});

test("the footprint counts what every pod and volume requests", async () => {
  const small = footprintOf(graph);
  const network = { ...experiment.network, replicas: 5 };
  const large = footprintOf(await sampleGraph({ ...experiment, network }, { run: "sample" }));
  expect(large.objects).toBe(small.objects);
  expect(large.pods).toBe(small.pods + 2);
  expect(large.cpu).toBeCloseTo(small.cpu + 2 * experiment.network.cpu, 6);
  expect(large.memory).toBe(small.memory + 2 * experiment.network.memory);
  expect(large.storage).toBe(small.storage + 2 * experiment.network.storage);
});

test("an init container counts only where it asks for more than the containers together", () => {
  const container = (cpu: string, more = {}) => ({ resources: { requests: { cpu, memory: "1Mi" } }, ...more });
  const pod = (initContainers: object[]) =>
    footprintOf([
      resource({
        kind: "Deployment",
        spec: {
          replicas: 2,
          template: { spec: { containers: [container("200m"), container("0.1")], initContainers } },
        },
      }),
    ]).cpu;
  expect(pod([])).toBeCloseTo(0.6, 6);
  expect(pod([container("100m")])).toBeCloseTo(0.6, 6);
  expect(pod([container("1")])).toBeCloseTo(2, 6);
  expect(pod([container("100m", { restartPolicy: "Always" })])).toBeCloseTo(0.8, 6);
});

test("an image changes with its own inputs and with the image it starts from", () => {
  expect(changedImages(["docs/report.png", "nodes/kv/README.md"])).toEqual([]);
  expect(changedImages(["nodes/kv/src/main.rs"])).toEqual([{ name: "kv", because: ["nodes/kv/src/main.rs"] }]);
  const names = changedImages(["images/base.Containerfile"]).map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(["base", "kv", "driver"]));
  expect(names).not.toContain("pause");
});
