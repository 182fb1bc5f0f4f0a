import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { imagesOf } from "../../../components/images.ts";
import type { Experiment } from "../../../schema/experiment.ts";
import { runSpecSchema } from "../../../schema/run.ts";
import { sampleGraph } from "../../../stacks/sample.ts";
import { loadExample } from "../../support/experiments.ts";
import { objectsOf } from "../../support/graph.ts";

const experiment = await loadExample("kv", "kv-observed.yaml");
const observing = (observe: Partial<typeof experiment.observe>): typeof experiment => ({
  ...experiment,
  observe: { prometheus: false, goose: false, grafana: false, retention: 3_600_000, storage: 2 ** 30, ...observe },
});
const everything = observing({ prometheus: true, grafana: true, traces: { sample: 0.5 } });
const graphOfEverything = await sampleGraph(everything, { run: "a" });
const objects = objectsOf(graphOfEverything);

/** Data of a ConfigMap of everything. */
const dataOf = (name: string) => (objects.get(`ConfigMap ${name}`)?.data ?? {}) as Record<string, string>;

interface WithTemplate {
  readonly template: {
    readonly spec: {
      readonly containers: readonly { readonly env: readonly { readonly name: string; readonly value?: string }[] }[];
      readonly volumes: readonly { readonly configMap?: { readonly items: { key: string; path: string }[] } }[];
    };
  };
}
/** Template of the pods of an object. */
function podOf(from: ReadonlyMap<string, Record<string, unknown>>, key: string): WithTemplate["template"]["spec"] {
  const object = from.get(key);
  if (object === undefined) throw new Error(`there is no ${key}`);
  return (object.spec as WithTemplate).template.spec;
}

type Rule = { readonly ports: { readonly port: number }[]; readonly from?: unknown; readonly to?: unknown };
interface Policy {
  readonly podSelector: { readonly matchLabels?: Record<string, string> };
  readonly ingress?: Rule[];
  readonly egress?: Rule[];
}

/** Ports open from pods of one name to pods of another, by what the policies of both sides allow. */
function openPorts(policies: readonly Policy[], from: string, to: string): number[] {
  const rules = (pod: string, side: "ingress" | "egress", other: string) =>
    policies
      .filter((policy) => policy.podSelector.matchLabels?.["app.kubernetes.io/name"] === pod)
      .flatMap((policy) => policy[side] ?? [])
      .filter((rule) => mentions(rule[side === "ingress" ? "from" : "to"], other))
      .flatMap((rule) => rule.ports.map(({ port }) => port));
  const arriving = rules(to, "ingress", from);
  return [...new Set(rules(from, "egress", to).filter((port) => arriving.includes(port)))].sort((a, b) => a - b);
}

function mentions(peers: unknown, pod: string): boolean {
  const text = JSON.stringify(peers ?? []);
  return text.includes(`"app.kubernetes.io/name":"${pod}"`) || text.includes('{"podSelector":{}}');
}

describe("what is deployed", () => {
  test("nothing unless asked for, and no image but the network's and the driver's", async () => {
    const kinds = [...objectsOf(await sampleGraph(observing({}), { run: "a" })).keys()];
    expect(kinds.filter((key) => /prometheus|jaeger|collector|grafana/.test(key))).toEqual([]);
    expect(imagesOf(observing({}), false)).toEqual(["kv", "driver"]);
  });

  test.each([
    [{ prometheus: true }, ["otel-collector", "prometheus"]],
    [{ traces: { sample: 1 } }, ["jaeger", "otel-collector"]],
    [{ prometheus: true, grafana: true }, ["grafana", "otel-collector", "prometheus"]],
  ])("%j is %j", async (observe, names) => {
    const graph = await sampleGraph(observing(observe), { run: "a" });
    const sets = [...objectsOf(graph).keys()].filter((key) => key.startsWith("StatefulSet") && !key.endsWith(" kv"));
    expect(sets.map((key) => key.split(" ")[1]).sort()).toEqual(names);
    expect(imagesOf(observing(observe), false).slice(2).sort()).toEqual(names);
  });

  test("the number of objects is the same for any number of members and workers", async () => {
    const network = { ...everything.network, replicas: 9 };
    const large = await sampleGraph(
      { ...everything, network, workload: { ...experiment.workload, workers: 64 } },
      { run: "a" },
    );
    expect(large.map((resource) => resource.urn)).toEqual(graphOfEverything.map((resource) => resource.urn));
  });

  test("two experiments share nothing that is cluster-wide", async () => {
    const clusterWide = (all: ReadonlyMap<string, unknown>) =>
      [...all.keys()].filter((key) => key.startsWith("ClusterRole"));
    expect(clusterWide(objects)).toHaveLength(4);
    const other = clusterWide(objectsOf(await sampleGraph({ ...everything, name: "other" })));
    expect(other.filter((key) => objects.has(key))).toEqual([]);
  });

  test("the accounts may list nodes and read their metrics, and nothing more", () => {
    const roles = [...objects].filter(([key]) => key.startsWith("ClusterRole "));
    expect(roles.map(([, role]) => role.rules)).toEqual([
      [{ apiGroups: [""], resources: ["nodes/metrics"], verbs: ["get"] }],
      [{ apiGroups: [""], resources: ["nodes"], verbs: ["get", "list"] }],
    ]);
  });

  test("a changed configuration makes another pod", async () => {
    const template = async (retention: number) => {
      const graph = objectsOf(await sampleGraph(observing({ traces: { sample: 1 }, retention })));
      return JSON.stringify(graph.get("StatefulSet jaeger")?.spec);
    };
    expect(await template(3_600_000)).toBe(await template(3_600_000));
    expect(await template(3_600_000)).not.toBe(await template(7_200_000));
  });
});

test("policies let through what has to flow and no more", () => {
  const policies = graphOfEverything
    .filter((resource) => resource.type.endsWith(":NetworkPolicy"))
    .map((resource) => resource.inputs.spec as Policy);
  const flows: [string, string, number[]][] = [
    ["driver", "otel-collector", [4318]],
    ["kv", "otel-collector", [4318]],
    ["otel-collector", "jaeger", [4317]],
    ["prometheus", "otel-collector", [8888, 8889]],
    ["prometheus", "kv", [8080]],
    ["prometheus", "conductor", [8070]],
    ["grafana", "prometheus", [9090]],
    ["grafana", "jaeger", []],
    ["kv", "prometheus", []],
    ["driver", "jaeger", []],
  ];
  expect(flows.map(([from, to]) => [from, to, openPorts(policies, from, to)])).toEqual(flows);
});

test("Prometheus reads every target a network names, the conductor, the collector and the kubelets", () => {
  const { scrape_configs } = parse(dataOf("prometheus")["prometheus.yml"] ?? "") as {
    scrape_configs: { job_name: string; dns_sd_configs?: { names: string[] }[]; http_sd_configs?: { url: string }[] }[];
  };
  expect(
    scrape_configs.map((job) => [job.job_name, job.dns_sd_configs?.[0]?.names[0] ?? job.http_sd_configs?.[0]?.url]),
  ).toEqual([
    ["kv", "_http._tcp.kv.orrery-kv-observed.svc.cluster.local"],
    ["conductor", "_http._tcp.conductor.orrery-kv-observed.svc.cluster.local"],
    ["collector", "_metrics._tcp.otel-collector.orrery-kv-observed.svc.cluster.local"],
    ["telemetry", "_sent._tcp.otel-collector.orrery-kv-observed.svc.cluster.local"],
    ["containers", "http://conductor.orrery-kv-observed.svc.cluster.local:8070/v1/nodes"],
    ["nodes", "http://conductor.orrery-kv-observed.svc.cluster.local:8070/v1/nodes"],
  ]);
});

test("drivers and members are told where to send and how much", async () => {
  const graph = objectsOf(await sampleGraph(observing({ traces: { sample: 0.25 } }), { run: "a" }));
  for (const [key, service] of [
    ["Job run-a", "orrery-driver"],
    ["StatefulSet kv", "orrery-kv"],
  ] as const) {
    const [container] = podOf(graph, key).containers;
    expect(Object.fromEntries(container?.env.map(({ name, value }) => [name, value]) ?? [])).toMatchObject({
      OTEL_SERVICE_NAME: service,
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://otel-collector.orrery-kv-observed.svc.cluster.local:4318",
      OTEL_TRACES_SAMPLER_ARG: "0.25",
    });
  }
});

test("a run's spec names the collector, and Keramik's names only on demand", async () => {
  const specOf = async (observe: Partial<Experiment["observe"]>) => {
    const data = objectsOf(await sampleGraph(observing(observe), { run: "a" })).get("ConfigMap run-a")?.data;
    return runSpecSchema.parse(JSON.parse((data as Record<string, string>)["spec.json"] ?? "")).telemetry;
  };
  const endpoint = "http://otel-collector.orrery-kv-observed.svc.cluster.local:4318";
  expect(await specOf({})).toBeUndefined();
  expect(await specOf({ prometheus: true })).toEqual({ endpoint, sampleRatio: 0, gooseMetrics: false });
  expect(await specOf({ traces: { sample: 0.5 }, goose: true })).toEqual({
    endpoint,
    sampleRatio: 0.5,
    gooseMetrics: true,
  });
});

test("pages are served below the domain only where the cluster serves Ingresses", async () => {
  const of = { ...everything, observe: { ...everything.observe, ingress: "kv.example.org" } };
  const ingressOf = async (ingressClass?: string) =>
    objectsOf(await sampleGraph(of, ingressClass === undefined ? {} : { target: { ingressClass } })).get(
      "Ingress observability",
    );
  expect(await ingressOf()).toBeUndefined();
  const { rules, ingressClassName } = ((await ingressOf("nginx"))?.spec ?? {}) as {
    ingressClassName: string;
    rules: { host: string }[];
  };
  expect(ingressClassName).toBe("nginx");
  expect(rules.map(({ host }) => host)).toEqual(
    ["prometheus", "jaeger", "grafana"].map((page) => `${page}.kv.example.org`),
  );
});

test("every file is one key, and every key is mounted at its path", () => {
  for (const part of ["prometheus", "otel-collector", "jaeger", "grafana"]) {
    const keys = Object.keys(dataOf(part));
    const items = podOf(objects, `StatefulSet ${part}`).volumes.flatMap((volume) => volume.configMap?.items ?? []);
    expect(items.map(({ key }) => key).sort()).toEqual(keys.sort());
    expect(keys.every((key) => /^[-._a-zA-Z0-9]+$/.test(key))).toBe(true);
  }
});

test("every dashboard of Grafana is a file of its own with queries in every panel", () => {
  const boards = Object.entries(dataOf("grafana")).filter(([key]) => key.endsWith(".json"));
  expect(boards.map(([key]) => key).sort()).toEqual(
    ["kv", "quorum", "run"].map((system) => `dashboards.orrery-${system}.json`),
  );
  for (const [, text] of boards) {
    const { panels } = JSON.parse(text) as { panels: { targets: { expr: string }[] }[] };
    expect(panels.length).toBeGreaterThan(3);
    for (const panel of panels) expect(panel.targets.every(({ expr }) => expr !== "")).toBe(true);
  }
});
