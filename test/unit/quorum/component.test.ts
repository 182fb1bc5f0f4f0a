import * as pulumi from "@pulumi/pulumi";
import { describe, expect, test } from "vitest";
import { groupKey, memberKey } from "../../../components/kubernetes/identity.ts";
import { keyGroups, purposeOf } from "../../../components/quorum/keys.ts";
import { QuorumNetwork } from "../../../components/quorum/quorum.ts";
import type { QuorumSection } from "../../../schema/systems/quorum.ts";
import { type RenderedResource, render } from "../../../stacks/render.ts";
import { sampleGraph, sampleTarget } from "../../../stacks/sample.ts";
import { loadExample } from "../../support/experiments.ts";
import { objectsOf } from "../../support/graph.ts";

const experiment = await loadExample("quorum", "quorum.yaml");
const rootSecret = "5e".repeat(32);
const graphOf = (changes: Partial<QuorumSection>): Promise<RenderedResource[]> =>
  sampleGraph({ ...experiment, network: { ...experiment.network, ...changes } }, { run: "a", rootSecret });
const inputsOf = (graph: readonly RenderedResource[], name: string) => {
  const found = graph.find((resource) => resource.name === name);
  if (found === undefined) throw new Error(`there is no ${name} among ${graph.map((resource) => resource.name)}`);
  return found.inputs;
};
const dataOf = (graph: readonly RenderedResource[], kind: string) => {
  const [found] = [...objectsOf(graph)].filter(([key]) => key.startsWith(`ConfigMap quorum-${kind}`));
  return found?.[1].data as Record<string, string>;
};

describe("the graph of a quorum network", () => {
  test("has the same objects for any number of nodes", async () => {
    const small = await graphOf({ nodes: 1 });
    const large = await graphOf({ nodes: 12 });
    expect(large.map(({ urn }) => urn)).toEqual(small.map(({ urn }) => urn));
    expect(small.length).toBeLessThanOrEqual(40);
  });

  test.each(["none", "constellation", "tessera"] as const)(
    "with privacy %s marks every key as secret and shows none, nor any derived from it, elsewhere",
    async (privacy) => {
      const graph = await graphOf({ privacy });
      const isSecret = ({ type }: RenderedResource): boolean => type === "kubernetes:core/v1:Secret";
      for (const { secrets } of graph.filter(isSecret)) expect(secrets).toEqual(["stringData"]);
      const rest = JSON.stringify(graph.filter((resource) => !isSecret(resource)));
      expect(rest).not.toContain(rootSecret);
      for (const group of Object.values(keyGroups)) {
        const key = groupKey(rootSecret, "quorum", group);
        expect(rest).not.toContain(key);
        for (let ordinal = 0; ordinal < 5; ordinal++) {
          for (const purpose of [purposeOf(key, group, ordinal), "x25519"]) {
            expect(rest).not.toContain(memberKey(key, group, ordinal, purpose));
          }
        }
      }
    },
  );

  test("gives drivers the accounts' key, and nodes, bootnode and managers each only theirs", async () => {
    const graph = await graphOf({ privacy: "constellation" });
    const held = (name: string) => inputsOf(graph, name).stringData;
    const key = (group: string) => groupKey(rootSecret, "quorum", group);
    expect(held("network-identity")).toEqual({ "group-key": key("node") });
    expect(held("network-bootnode-identity")).toEqual({ "group-key": key("bootnode") });
    expect(held("network-ptm-identity")).toEqual({ "group-key": key("ptm") });
    expect(held("network-credentials")).toEqual({ "accounts-key": key("account"), accounts: "64" });
    const mounted = JSON.stringify(inputsOf(graph, "run-driver").spec);
    expect(mounted).toContain('"secretName":"quorum-credentials"');
    expect(mounted).not.toContain("quorum-identity");
  });

  test("more nodes keep the name of the first block's document, and their pods are not changed", async () => {
    const before = await graphOf({ nodes: 4 });
    const after = await graphOf({ nodes: 6 });
    const template = (graph: RenderedResource[]) =>
      (inputsOf(graph, "network-nodes").spec as { template: object }).template;
    expect(template(after)).toEqual(template(before));
    const documents = (graph: RenderedResource[]) =>
      [...objectsOf(graph).keys()].filter((key) => key.includes("genesis"));
    expect(documents(after)).toEqual(documents(before));
  });

  test("another chain has another document", async () => {
    const names = [];
    for (const changes of [{}, { chainId: 7 }, { blockPeriod: 2000 }]) {
      names.push([...objectsOf(await graphOf(changes)).keys()].filter((key) => key.includes("genesis")).join());
    }
    expect(new Set(names).size).toBe(3);
  });

  test("keys come from the seed where the network is deterministic, whatever the stack's secret", async () => {
    const network = { ...experiment.network, deterministic: true };
    const documents = [];
    for (const settings of [
      { rootSecret, seed: 1 },
      { rootSecret: "77".repeat(32), seed: 1 },
      { rootSecret, seed: 2 },
    ]) {
      documents.push(dataOf(await sampleGraph({ ...experiment, network, seed: settings.seed }, settings), "network"));
    }
    expect(documents[1]).toEqual(documents[0]);
    expect(documents[2]).not.toEqual(documents[0]);
  });

  test("fixed addresses are those of the Services, and lie in the cluster's range", async () => {
    const addresses = { bootnode: "198.19.0.100", nodes: "198.19.0.99" };
    const graph = await graphOf({ addresses });
    expect(inputsOf(graph, "network-bootnode-service").spec).toMatchObject({ clusterIP: "198.19.0.100" });
    expect(inputsOf(graph, "network-node-service").spec).toMatchObject({ clusterIP: "198.19.0.99" });
    await expect(graphOf({ addresses: { nodes: "10.96.0.99" } })).rejects.toThrow(
      /network\.addresses\.nodes = "10\.96\.0\.99".*198\.19\.0\.0\/17/,
    );
  });

  test("a set per node has its own claim, and no two select the same pods", async () => {
    const graph = await graphOf({ layout: "set-per-node", nodes: 3 });
    const sets = graph
      .filter(({ type }) => type.endsWith(":StatefulSet"))
      .map(({ inputs }) => inputs as unknown as NodeSet);
    expect(sets.map(({ metadata }) => metadata.name)).toEqual(["node-set-1", "node-set-2", "node-set-3"]);
    expect(new Set(sets.map(({ spec }) => JSON.stringify(spec.selector))).size).toBe(3);
    for (const [index, { spec }] of sets.entries()) {
      expect(spec.template.metadata.labels).toMatchObject(spec.selector.matchLabels);
      expect(spec.template.spec.volumes).toContainEqual({
        name: "data",
        persistentVolumeClaim: { claimName: `node-${index + 1}-pv-claim` },
      });
      expect(spec).not.toHaveProperty("volumeClaimTemplates");
    }
    const claims = graph.filter(({ name }) => name.startsWith("network-claim-"));
    expect(claims).toHaveLength(3);
    expect(dataOf(graph, "network")["network.json"]).toContain('"host": "node-set-2-0.quorum.');
  });

  test("a set per node may have a volume of its own too: a folder of a host that outlives it, and its claim's alone", async () => {
    const volumes = { path: "/data", hosts: ["one", "two"] };
    const graph = await graphOf({ layout: "set-per-node", nodes: 3, volumes });
    const made = [0, 1, 2].map((ordinal) => inputsOf(graph, `network-volume-${ordinal}`) as unknown as Volume);
    expect(made.map(({ spec }) => spec.local.path)).toEqual(["/data/qdata_1", "/data/qdata_2", "/data/qdata_3"]);
    const hosts = made.map(({ spec }) => spec.nodeAffinity.required.nodeSelectorTerms[0]?.matchExpressions[0]?.values);
    expect(hosts).toEqual([["one"], ["two"], ["one"]]);
    expect(made.map(({ spec }) => spec.persistentVolumeReclaimPolicy)).toEqual(["Retain", "Retain", "Retain"]);
    expect(new Set(made.map(({ metadata }) => metadata.name)).size).toBe(3);
    for (const [ordinal, { metadata, spec }] of made.entries()) {
      expect(inputsOf(graph, `network-claim-${ordinal}`).spec).toMatchObject({
        volumeName: metadata.name,
        storageClassName: spec.storageClassName,
      });
    }
  });

  describe("where images can be pulled", () => {
    const pulling = (changes: Partial<QuorumSection>) => {
      const capabilities = { enforcesNetworkPolicy: false, movableVolumes: false, pullsImages: true };
      const network = { ...experiment.network, ...changes };
      return sampleGraph({ ...experiment, network }, { rootSecret, target: { capabilities } });
    };
    const podOf = (graph: readonly RenderedResource[]) =>
      (inputsOf(graph, "network-nodes").spec as unknown as NodeSet["spec"]).template.spec;

    test("managers are Tessera, with its own configuration and keys that are in memory only", async () => {
      const graph = await pulling({ privacy: "tessera", nodes: 3 });
      const { "tessera.json": document = "", "ptm.json": managers = "" } = dataOf(graph, "network");
      await expect(document).toMatchFileSnapshot("../../golden/tessera.json");
      const urls = (JSON.parse(managers) as { readonly peers: readonly { readonly url: string }[] }).peers;
      expect((JSON.parse(document) as { readonly peer: unknown }).peer).toEqual(urls.map(({ url }) => ({ url })));
      const { initContainers, containers, volumes } = podOf(graph);
      expect(initContainers.map(({ name }) => name)).toEqual(["agent", "ptm-configuration"]);
      expect(containers.map(({ image }) => image)).toEqual([
        "orrery.dev/goquorum:0123456789ab",
        "orrery.dev/tessera:0123456789ab",
      ]);
      expect(containers[1]).toMatchObject({ args: ["-configfile", "/run/ptm/tessera.json"] });
      expect(JSON.stringify(containers[1])).not.toContain("ptm-identity");
      expect(volumes).toContainEqual({ name: "ptm", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } });
    });

    test.each([
      ["with Constellation's interface", { privacy: "constellation" }],
      ["where it is asked for", { privacy: "tessera", manager: "stand-in" }],
    ] as const)("a stand-in is used %s", async (_, changes) => {
      const graph = await pulling(changes);
      expect(podOf(graph).containers.map(({ image }) => image)[1]).toBe("orrery.dev/ptm:0123456789ab");
      expect(dataOf(graph, "network")).not.toHaveProperty("tessera.json");
    });
  });

  test("where no images can be pulled a stand-in is used, and nothing of Tessera is there", async () => {
    const graph = await graphOf({ privacy: "tessera" });
    expect(JSON.stringify(graph)).toContain("orrery.dev/ptm:");
    expect(JSON.stringify(graph)).not.toContain("tessera.json");
  });

  test("without a bootnode there is nothing of it", async () => {
    const graph = await graphOf({ bootnode: false });
    expect(graph.filter(({ name }) => name.includes("bootnode"))).toEqual([]);
    expect(dataOf(graph, "network")["network.json"]).not.toContain("bootnode");
  });

  test("containers are restricted, bounded, and told no key", async () => {
    const graph = await graphOf({ privacy: "tessera" });
    for (const name of ["network-nodes", "network-bootnode"]) {
      const { template } = inputsOf(graph, name).spec as { readonly template: { readonly spec: PodSpec } };
      expect(template.spec.securityContext).toMatchObject({ runAsNonRoot: true });
      for (const container of [...template.spec.initContainers, ...template.spec.containers]) {
        expect(container.securityContext).toMatchObject({
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
        expect(Object.keys(container.resources.limits)).toEqual(["cpu", "memory"]);
        const variables = (container.env ?? []).map((variable) => variable.name);
        expect(
          variables.filter((variable) => /KEY|SECRET|TOKEN/.test(variable) && !variable.endsWith("_FILE")),
        ).toEqual([]);
      }
    }
  });
});

interface Volume {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly storageClassName: string;
    readonly persistentVolumeReclaimPolicy: string;
    readonly local: { readonly path: string };
    readonly nodeAffinity: {
      readonly required: {
        readonly nodeSelectorTerms: readonly {
          readonly matchExpressions: readonly { readonly values: readonly string[] }[];
        }[];
      };
    };
  };
}

interface NodeSet {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly selector: { readonly matchLabels: object };
    readonly template: {
      readonly metadata: { readonly labels: object };
      readonly spec: PodSpec & { readonly volumes: readonly object[] };
    };
  };
}

interface PodSpec {
  readonly securityContext: object;
  readonly initContainers: readonly Container[];
  readonly containers: readonly Container[];
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly securityContext: object;
  readonly env?: readonly { readonly name: string }[];
  readonly resources: { readonly limits: object };
}

test("two networks side by side share neither names of resources nor pods nor keys", async () => {
  const graph = await render(() => {
    const target = sampleTarget();
    for (const [name, secret] of [
      ["one", "01"],
      ["two", "02"],
    ] as const) {
      const namespace = { name, created: pulumi.output(name), resource: target.provider };
      const { network, seed } = experiment;
      const callers = [{ a: "b" }];
      const secretOf = pulumi.secret(secret.repeat(32));
      new QuorumNetwork(name, { experiment: name, network, seed, target, namespace, rootSecret: secretOf, callers });
    }
  });
  const urns = graph.map(({ urn }) => urn);
  expect(new Set(urns).size).toBe(urns.length);
  const selectors = graph
    .filter(({ type }) => type.endsWith(":StatefulSet"))
    .map(({ inputs }) => JSON.stringify((inputs.spec as { readonly selector: object }).selector));
  expect(new Set(selectors).size).toBe(2);
  const [one, two] = ["one-identity", "two-identity"].map((name) => inputsOf(graph, name).stringData);
  expect(one).not.toEqual(two);
});
