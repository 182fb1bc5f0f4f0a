import { describe, expect, test } from "vitest";
import type { ClusterTarget } from "../../../components/cluster-target.ts";
import { groupKey } from "../../../components/kubernetes/identity.ts";
import { accountsFrom } from "../../../nodes/racecourse/accounts.ts";
import { settingsFrom } from "../../../nodes/racecourse/settings.ts";
import { defineExperiment } from "../../../schema/load.ts";
import { sampleGraph } from "../../../stacks/sample.ts";
import { objectsOf } from "../../support/graph.ts";

const rootSecret = "5e".repeat(32);
const experimentWith = (racecourse?: object, nodes = 2) =>
  defineExperiment({
    schema: "orrery/v1",
    name: "quorum",
    seed: 1,
    network: { system: "quorum", nodes, ...(racecourse === undefined ? {} : { racecourse }) },
    workload: { operations: { transfer: 1 }, arrival: { rate: "1/s" }, phases: { measure: "10s" } },
  });
const objectsWith = async (racecourse?: object, target: Partial<ClusterTarget> = { ingressClass: "caddy" }) =>
  objectsOf(await sampleGraph(experimentWith(racecourse), { rootSecret, target }));

const documentsOf = (object: Record<string, unknown> = {}) => object.data as Record<string, string>;
const deploymentOf = (objects: Awaited<ReturnType<typeof objectsWith>>) =>
  objects.get("Deployment racecourse")?.spec as Deployment;

interface Deployment {
  readonly replicas: number;
  readonly template: {
    readonly spec: { readonly containers: readonly { readonly env: readonly { name: string; value: string }[] }[] };
  };
}

describe("the racecourse of a quorum network", () => {
  test("is there only when the experiment asks for it", async () => {
    const names = [...(await objectsWith()).keys()].filter((name) => name.includes("racecourse"));
    expect(names).toEqual([]);
  });

  test("is told every node and no key, in words its program reads", async () => {
    const objects = await objectsWith({ players: 3 });
    const deployment = deploymentOf(objects);
    const variables = deployment.template.spec.containers.flatMap(({ env }) => env);
    expect(settingsFrom(Object.fromEntries(variables.map(({ name, value }) => [name, value])))).toMatchObject({
      nodes: [0, 1].map((node) => `http://quorum-${node}.quorum.orrery-quorum.svc.cluster.local:8545`),
      players: 3,
      port: 3000,
    });
    expect(objects.get("Secret racecourse-accounts")?.stringData).toEqual({
      "group-key": groupKey(rootSecret, "quorum", "racecourse"),
    });
  });

  test("has accounts with a balance in the first block: the very ones its program signs with", async () => {
    const objects = await objectsWith({ players: 3 });
    const genesis = [...objects].find(([name]) => name.startsWith("ConfigMap quorum-genesis"))?.[1];
    const { alloc } = JSON.parse(documentsOf(genesis)["genesis.json"] ?? "") as { alloc: object };
    const { deployer, players } = accountsFrom(groupKey(rootSecret, "quorum", "racecourse"), 3);
    expect(Object.keys(alloc)).toEqual(
      expect.arrayContaining([deployer, ...players].map(({ address }) => address.toLowerCase())),
    );
  });

  test("is served by the target's ingress class under its host, over TLS if asked for", async () => {
    const plain = (await objectsWith({})).get("Ingress racecourse")?.spec;
    const paths = [
      { path: "/", pathType: "Prefix", backend: { service: { name: "racecourse", port: { name: "http" } } } },
    ];
    expect(plain).toEqual({ ingressClassName: "caddy", rules: [{ http: { paths } }] });
    const secure = { host: "race.test", tls: { secret: "cert" } };
    expect((await objectsWith(secure)).get("Ingress racecourse")?.spec).toEqual({
      ingressClassName: "caddy",
      rules: [{ host: "race.test", http: { paths } }],
      tls: [{ hosts: ["race.test"], secretName: "cert" }],
    });
  });

  test("has no Ingress, and lets none in, where the target serves none", async () => {
    const graph = await sampleGraph(experimentWith({}), { rootSecret });
    const objects = objectsOf(graph);
    expect(objects.has("Ingress racecourse")).toBe(false);
    const policy = graph.find(({ name }) => name === "network-racecourse-traffic")?.inputs.spec;
    expect(JSON.stringify(policy)).not.toContain("namespaceSelector");
  });

  test("may reach the nodes' RPC port and nothing else of them", async () => {
    const graph = await sampleGraph(experimentWith({}), { rootSecret, target: { ingressClass: "caddy" } });
    const spec = (name: string) => graph.find((resource) => resource.name === name)?.inputs.spec as Policy;
    const selector = { "app.kubernetes.io/name": "racecourse", "app.kubernetes.io/instance": "quorum" };
    const from = { podSelector: { matchLabels: selector } };
    expect(spec("network-racecourse-to-nodes").ingress).toEqual([
      { from: [from], ports: [{ protocol: "TCP", port: 8545 }] },
    ]);
    expect(spec("network-racecourse-traffic").ingress).toEqual([
      {
        from: [{ ipBlock: { cidr: "198.19.128.0/30" } }, { namespaceSelector: {} }],
        ports: [{ protocol: "TCP", port: 3000 }],
      },
    ]);
  });

  test("keeps a pod during a drain when there are several", async () => {
    expect((await objectsWith({})).has("PodDisruptionBudget racecourse")).toBe(false);
    const several = await objectsWith({ replicas: 2 });
    expect(several.get("PodDisruptionBudget racecourse")?.spec).toMatchObject({ maxUnavailable: 1 });
    expect(deploymentOf(several).replicas).toBe(2);
  });

  test.each([
    [{ tls: {} }, /network\.racecourse\.tls.*a certificate is for a host/],
    [{ host: "Race.Test" }, /network\.racecourse\.host.*lower-case/],
    [{ players: 0 }, /network\.racecourse\.players/],
  ])("is refused where it cannot be: %j", (racecourse, words) => {
    expect(() => experimentWith(racecourse)).toThrow(words);
  });
});

interface Policy {
  readonly ingress: readonly object[];
}
