import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ConfigError } from "../../../components/kubernetes/config-error.ts";
import { planKv } from "../../../components/kv/plan.ts";
import { planRun, runDeadlineSeconds } from "../../../components/workload/plan.ts";
import { parseExperiment } from "../../../schema/load.ts";
import { referenceLimitMs, runSpecSchema } from "../../../schema/run.ts";
import { sampleGraph } from "../../../stacks/sample.ts";
import { closesAtMs } from "../../../workloads/conductor/run.ts";
import { loadExample } from "../../support/experiments.ts";
import { objectsOf } from "../../support/graph.ts";

const experiment = await loadExample("kv", "kv.yaml");
const withNetwork = (changes: Partial<typeof experiment.network>): typeof experiment => ({
  ...experiment,
  network: { ...experiment.network, ...changes },
});

describe("the graph of the kv example", () => {
  test("has the same number of objects for any number of members and workers", async () => {
    const small = await sampleGraph(withNetwork({ replicas: 2 }), { run: "a" });
    const large = await sampleGraph(
      { ...withNetwork({ replicas: 9 }), workload: { ...experiment.workload, workers: 64 } },
      { run: "a" },
    );
    expect(large.map((resource) => resource.urn)).toEqual(small.map((resource) => resource.urn));
    expect(small.length).toBeLessThanOrEqual(40);
  });

  test("without a run has neither Job nor token, and all else as with one", async () => {
    const without = objectsOf(await sampleGraph(experiment));
    const withRun = objectsOf(await sampleGraph(experiment, { run: "r1" }));
    expect([...withRun.keys()].filter((key) => !without.has(key))).toEqual(
      ["ConfigMap run-r1", "Secret run-r1-token", "NetworkPolicy (auto-named)", "Job run-r1"].filter(
        (key) => !without.has(key),
      ),
    );
    expect(
      [...without].every(
        ([key, object]) =>
          key.startsWith("NetworkPolicy") || JSON.stringify(withRun.get(key)) === JSON.stringify(object),
      ),
    ).toBe(true);
  });

  test("is the same twice, and differs only in keys for another root secret", async () => {
    const first = await sampleGraph(experiment, { run: "a" });
    expect(await sampleGraph(experiment, { run: "a" })).toEqual(first);
    const other = await sampleGraph(experiment, { run: "a", rootSecret: "77".repeat(32) });
    const changed = first.filter((resource, index) => JSON.stringify(resource) !== JSON.stringify(other[index]));
    expect(changed.map((resource) => resource.name).sort()).toEqual([
      "conductor-key",
      "network-identity",
      "network-peers",
      "run-token",
    ]);
  });

  test("marks every private key as secret and shows none elsewhere", async () => {
    const graph = await sampleGraph(experiment, { run: "a" });
    const secret = graph.filter((resource) => resource.type === "kubernetes:core/v1:Secret");
    expect(secret).toHaveLength(3);
    const values = secret.flatMap((resource) => {
      expect(resource.secrets).toEqual(["stringData"]);
      return Object.values(resource.inputs.stringData as Record<string, string>);
    });
    const rest = JSON.stringify(graph.filter((resource) => !secret.includes(resource)));
    for (const value of [...values, "5e".repeat(32)]) {
      expect(rest).not.toContain(value);
    }
  });

  test("keeps to the restricted Pod Security Standard and has bounds on every container", async () => {
    const templates = (await sampleGraph(experiment, { run: "a" })).flatMap(({ inputs }) => {
      const spec = inputs.spec as { readonly template?: { readonly spec: PodSpec } } | undefined;
      return spec?.template === undefined ? [] : [spec.template.spec];
    });
    expect(templates).toHaveLength(3);
    for (const pod of templates) {
      expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
      expect(pod.enableServiceLinks).toBe(false);
      for (const container of pod.containers) {
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
        expect(Object.keys(container.resources.requests)).toEqual(Object.keys(container.resources.limits));
        expect(
          container.env.some((variable) => /key|token|secret/i.test(variable.name) && !variable.name.endsWith("_FILE")),
        ).toBe(false);
      }
    }
  });

  test("lets nothing talk that no policy names", async () => {
    const policies = (await sampleGraph(experiment, { run: "a" })).filter((resource) =>
      resource.type.endsWith(":NetworkPolicy"),
    );
    const [denial] = policies.filter((resource) => resource.name === "simulation-deny-all");
    expect(denial?.inputs.spec).toEqual({ podSelector: {}, policyTypes: ["Ingress", "Egress"] });
    expect(policies.map((resource) => resource.name).sort()).toEqual([
      "conductor-to-network",
      "conductor-traffic",
      "network-traffic",
      "run-traffic",
      "simulation-deny-all",
    ]);
  });

  test("keeps a majority through voluntary disruptions", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 9 }), (replicas) => {
        const plan = planKv({ ...experiment.network, replicas }, "n");
        expect(plan.quorum * 2).toBeGreaterThan(replicas);
        expect((plan.quorum - 1) * 2).toBeLessThanOrEqual(replicas);
        expect(new Set(plan.members.map((member) => member.host)).size).toBe(replicas);
      }),
    );
  });
});

interface PodSpec {
  readonly securityContext: object;
  readonly enableServiceLinks: boolean;
  readonly containers: readonly {
    readonly securityContext: object;
    readonly env: readonly { readonly name: string }[];
    readonly resources: { readonly requests: object; readonly limits: object };
  }[];
}

test("a run's spec is what drivers and conductor accept, and carries no secret", async () => {
  const spec = planRun(experiment, "r1", {
    namespace: "n",
    endpoints: [{ group: "replica", ordinal: 0, pod: "kv-0", url: "http://kv-0:8080" }],
    podSelector: { a: "b" },
    conductorUrl: "http://conductor:8070",
  });
  expect(runSpecSchema.parse(JSON.parse(JSON.stringify(spec)))).toEqual(spec);
  expect(spec.faults).toEqual([{ index: 0, kind: "kill", atMs: 15_000, target: { role: "leader", count: 1 } }]);
});

test("neither the Job nor the conductor gives up on workers that wait for replication as long as they may", () => {
  const patient = { ...experiment, observe: { ...experiment.observe, replication: { deadline: 600_000 } } };
  const spec = planRun(patient, "r1", {
    namespace: "n",
    endpoints: [],
    podSelector: {},
    conductorUrl: "http://conductor:8070",
  });
  const { warmup, measure, cooldown } = experiment.workload.phases;
  const waitsUntilMs = warmup + measure + cooldown + 600_000;
  expect(runDeadlineSeconds(patient) * 1000).toBeGreaterThan(waitsUntilMs);
  expect(closesAtMs(spec, 5_000_000)).toBeGreaterThan(5_000_000 + waitsUntilMs);
});

test("the Job does not give up on a driver that compares itself with a raw sender first", () => {
  const quorum = (parameters: object) => {
    const workload = { operations: { transfer: 1 }, arrival: { rate: "1/s" }, phases: { measure: "10s" }, parameters };
    const written = { schema: "orrery/v1", name: "q", seed: 1, network: { system: "quorum" }, workload };
    return parseExperiment(JSON.stringify(written), "q.yaml").experiment;
  };
  const [plain, comparing] = [quorum({}), quorum({ reference: {} })];
  expect(comparing.workload.parameters).toMatchObject({ reference: { transfers: 2_000, pairs: 4 } });
  expect(runDeadlineSeconds(comparing) - runDeadlineSeconds(plain)).toBe(referenceLimitMs / 1000);
});

test("drivers are told of the collector only where there is one", () => {
  const place = {
    namespace: "n",
    endpoints: [{ group: "replica", ordinal: 0, pod: "kv-0", url: "http://kv-0:8080" }],
    podSelector: { a: "b" },
    conductorUrl: "http://conductor:8070",
  };
  const telemetry = { endpoint: "http://otel-collector:4318", sampleRatio: 0.1 };
  const observe = { ...experiment.observe, goose: true };
  expect(planRun(experiment, "r1", place)).not.toHaveProperty("telemetry");
  const { telemetry: told } = planRun({ ...experiment, observe }, "r1", { ...place, telemetry });
  expect(told).toEqual({ ...telemetry, gooseMetrics: true });
});

test.each(["", "Upper", "a b", "-a", "x".repeat(49)])("%j is no run id", async (run) => {
  await expect(sampleGraph(experiment, { run })).rejects.toThrow(/not a run id/);
  expect(ConfigError).toBeDefined();
});
