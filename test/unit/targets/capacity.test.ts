import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sampleGraph } from "../../../stacks/sample.ts";
import { capacityChecks, type NodeRoom, type PodNeed, place, type Room } from "../../../targets/capacity.ts";
import { needsOf, requestsOf } from "../../../targets/needs.ts";
import { loadExample } from "../../support/experiments.ts";

const gibi = 2 ** 30;
const experiment = await loadExample("kv", "kv.yaml");
const needs = needsOf(await sampleGraph(experiment, { run: "sample" }));
const room: Room = {
  version: "v1.34.4",
  nodes: [{ name: "one", cpu: 8, memory: 16 * gibi, pods: 110 }],
  apiVersions: needs.kinds.map((kind) => kind.split(" ")[0] ?? ""),
  storageClasses: [{ name: "standard", isDefault: true }],
  images: needs.images,
  limits: [],
  refused: [],
};
const quota = (resource: string, max: number) =>
  [{ source: "ResourceQuota team", per: "namespace", resource, max }] as const;
const range = (per: "container" | "volume", resource: string, max: number) =>
  [{ source: "LimitRange small", per, resource, max }] as const;
const failing = (changes: Partial<Room>) =>
  capacityChecks(needs, { ...room, ...changes })
    .filter((check) => check.status === "fail")
    .map((check) => `${check.name}: ${check.found}`);

describe("what the kv example needs", () => {
  test("is every pod of its network, conductor and drivers with their requests", () => {
    const byWorkload = Object.groupBy(needs.pods, (pod) => pod.workload);
    const counts = Object.fromEntries(Object.entries(byWorkload).map(([name, pods]) => [name, pods?.length]));
    expect(counts).toMatchObject({ "StatefulSet kv": 3, "Job run-sample": 2 });
    const [member] = byWorkload["StatefulSet kv"] ?? [];
    expect(member).toMatchObject({ cpu: experiment.network.cpu, memory: experiment.network.memory, volumes: [gibi] });
  });

  test("counts sidecars with the containers and init containers by the largest", () => {
    const requests = (cpu: string) => ({ resources: { requests: { cpu, memory: "1Mi" } } });
    const spec = {
      containers: [requests("100m"), requests("200m")],
      initContainers: [{ ...requests("50m"), restartPolicy: "Always" }, requests("1")],
    };
    expect(requestsOf(spec)).toEqual({ cpu: 1, memory: 3 * 2 ** 20 });
  });
});

describe("a cluster", () => {
  test("with enough of everything has no failed check", () => expect(failing({})).toEqual([]));

  test.each<[string, Partial<Room>, RegExp]>([
    [
      "too little CPU",
      { nodes: [{ name: "one", cpu: 0.2, memory: 16 * gibi, pods: 9 }] },
      /^room: .*no node for .*CPU/,
    ],
    [
      "too little memory",
      { nodes: [{ name: "one", cpu: 8, memory: gibi / 8, pods: 9 }] },
      /^room: .*no node for .*MiB$/,
    ],
    ["too few pods", { nodes: [{ name: "one", cpu: 8, memory: 16 * gibi, pods: 3 }] }, /^room: .*once the others/],
    [
      "no volume to attach",
      { nodes: [{ name: "a", cpu: 8, memory: 16 * gibi, pods: 9, volumes: 0 }] },
      /1 more volume/,
    ],
    ["no node", { nodes: [] }, /^room: 0 node\(s\).*no node for/],
    [
      "no default StorageClass",
      { storageClasses: [{ name: "slow", isDefault: false }] },
      /no StorageClass \(default\) among slow/,
    ],
    [
      "a class that makes no volumes",
      { storageClasses: [{ name: "standard", isDefault: true, freeVolumes: 1 }] },
      /1 free volumes of class standard/,
    ],
    ["an old version", { version: "v1.27.3" }, /^version: v1\.27\.3/],
    ["an API that is not served", { apiVersions: ["v1", "apps/v1"] }, /^APIs: not served: .*batch\/v1/],
    [
      "a quota below the sum",
      { limits: quota("requests.cpu", 0.5) },
      /^quotas: ResourceQuota team allows requests\.cpu/,
    ],
    ["a quota of pods", { limits: quota("pods", 3) }, /^quotas: .*allows pods 3, asked are \d+$/],
    [
      "a quota of storage",
      { limits: quota("requests.storage", gibi) },
      /^quotas: .*allows requests\.storage 1073741824, /,
    ],
    [
      "a limit for a container",
      { limits: range("container", "memory", 1024) },
      /^quotas: LimitRange .* for each container/,
    ],
    ["a limit for a volume", { limits: range("volume", "storage", 1024) }, /^quotas: LimitRange .* for each volume/],
    ["no right to make namespaces", { refused: ["create namespaces"] }, /^permissions: refused: create namespaces/],
  ])("with %s is refused with that reason alone", (_, changes, message) => {
    expect(failing(changes)).toEqual([expect.stringMatching(message)]);
  });

  test("with quotas that are kept, or of what is not known here, has no failed check", () => {
    const kept = ["requests.cpu", "pods", "persistentvolumeclaims", "limits.cpu", "count/configmaps"];
    expect(failing({ limits: kept.flatMap((resource) => quota(resource, 1000)) })).toEqual([]);
    expect(failing({ limits: [...quota("limits.cpu", 0), ...quota("requests.nvidia.com/gpu", 0)] })).toEqual([]);
  });

  test("without the images warns only", () => {
    const image = capacityChecks(needs, { ...room, images: [] }).find((check) => check.name === "images");
    expect(image?.status).toBe("warn");
  });
});

describe("placing", () => {
  const pod = fc.record({ cpu: fc.integer({ min: 1, max: 40 }), memory: fc.integer({ min: 1, max: 40 }) });
  const node = fc.record({ cpu: fc.integer({ min: 0, max: 100 }), memory: fc.integer({ min: 0, max: 100 }) });
  const podsOf = (all: readonly { cpu: number; memory: number }[]): PodNeed[] =>
    all.map((one) => ({ ...one, cpu: one.cpu / 10, workload: "Job x", volumes: [], containers: [] }));
  const nodesOf = (all: readonly { cpu: number; memory: number }[]): NodeRoom[] =>
    all.map((one, index) => ({ ...one, cpu: one.cpu / 10, name: String(index), pods: 5 }));

  test("never uses more than there is, loses no pod, and leaves out only what fits nowhere", () => {
    fc.assert(
      fc.property(fc.array(pod, { maxLength: 20 }), fc.array(node, { maxLength: 5 }), (somePods, someNodes) => {
        const pods = podsOf(somePods);
        const { placed, unplaced, left } = place(pods, nodesOf(someNodes));
        expect(placed + unplaced.length).toBe(pods.length);
        for (const one of left) {
          expect(one.cpu).toBeGreaterThan(-1e-6);
          expect(one.memory).toBeGreaterThanOrEqual(0);
          expect(one.pods).toBeGreaterThanOrEqual(0);
          const fitting = unplaced.filter((lost) => lost.cpu <= one.cpu && lost.memory <= one.memory && one.pods >= 1);
          expect(fitting).toEqual([]);
        }
        const before = nodesOf(someNodes).reduce((sum, one) => sum + one.memory, 0);
        const after = left.reduce((sum, one) => sum + one.memory, 0);
        const lost = unplaced.reduce((sum, one) => sum + one.memory, 0);
        expect(before - after).toBe(pods.reduce((sum, one) => sum + one.memory, 0) - lost);
      }),
    );
  });
});
