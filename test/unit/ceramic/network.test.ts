import { describe, expect, test } from "vitest";
import { didOfSeed, peerIdentity } from "../../../components/ceramic/identity.ts";
import { planCeramic } from "../../../components/ceramic/plan.ts";
import { libp2pPrivateKey, peerKey } from "../../../nodes/ceramic/identity.ts";
import type { ExperimentOf } from "../../../schema/experiment.ts";
import { systems } from "../../../schema/systems/index.ts";
import { manifests } from "../../../stacks/manifests.ts";
import { sampleGraph } from "../../../stacks/sample.ts";
import { loadExample } from "../../support/experiments.ts";
import { objectsOf } from "../../support/graph.ts";

const experiment = await loadExample("ceramic", "ceramic.yaml");
const withNetwork = (section: object): ExperimentOf<"ceramic"> => ({
  ...experiment,
  network: systems.ceramic.network.parse({ system: "ceramic", ...section }),
});
const graphOf = async (section: object, options = {}) => objectsOf(await sampleGraph(withNetwork(section), options));

interface PodObject {
  readonly spec: {
    readonly replicas?: number;
    readonly selector: { readonly matchLabels: object };
    readonly template: { readonly metadata: object; readonly spec: Record<string, never> };
    readonly volumeClaimTemplates: readonly object[];
  };
}
interface Container {
  readonly name: string;
  readonly image: string;
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly resources: Record<string, Record<string, string>>;
  readonly volumeMounts: readonly { readonly name: string }[];
}

async function podOf(section: object, name = "ceramic-0") {
  const graph = await graphOf(section);
  const set = graph.get(`StatefulSet ${name}`) as unknown as PodObject;
  const { containers, initContainers, affinity } = set.spec.template.spec as unknown as {
    readonly containers: readonly Container[];
    readonly initContainers: readonly Container[];
    readonly affinity?: object;
  };
  const of = (container: string): Container => {
    const found = [...initContainers, ...containers].find((one) => one.name === container);
    if (found === undefined) throw new Error(`no container ${container}`);
    return found;
  };
  const variable = (container: string, key: string) => of(container).env.find((one) => one.name === key)?.value;
  return { graph, set, of, variable, affinity, names: [...initContainers, ...containers].map((one) => one.name) };
}

describe("identities", () => {
  test("are those that the pod derives", () => {
    const groupKey = "0b".repeat(32);
    const known = peerIdentity(groupKey, "ceramic-0", 2);
    expect(peerKey(groupKey, "ceramic-0", 2, "ipfs").publicKey.toString("hex")).toBe(known.ipfsKey);
    expect(peerKey(groupKey, "ceramic-0", 2, "did").publicKey.toString("hex")).toBe(known.didKey);
    expect(known.ipfsKey).not.toBe(known.didKey);
    expect(peerIdentity(groupKey, "ceramic-0", 1).peerId).not.toBe(known.peerId);
  });

  test("have the names that libp2p and did:key give them", () => {
    // Key of RFC 8032, section 7.1, test 1.
    const seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    expect(didOfSeed(seed)).toBe("did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw");
    const publicKey = Buffer.from("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "hex");
    expect(libp2pPrivateKey({ seed: Buffer.from(seed, "hex"), publicKey })).toMatch(/^CAESQJ1hsZ3v/);
  });
});

describe("the plan", () => {
  test("numbers peers over all groups, and names them so that one more changes nobody's name", () => {
    const { network } = withNetwork({ replicas: 5, groups: [{ name: "a" }, { name: "b" }] });
    const { peers } = planCeramic(network, 1, "ns");
    expect(peers.map(({ ordinal, pod }) => `${ordinal} ${pod}`)).toEqual(["0 a-0", "1 a-1", "2 a-2", "3 b-0", "4 b-1"]);
    expect(peers[3]?.host).toBe("b-0.b.ns.svc.cluster.local");
  });

  test("has another bootstrap for other peers, another method or another seed, and none for one peer", () => {
    const name = (section: object, seed = 1) => planCeramic(withNetwork(section).network, seed, "ns").bootstrap?.name;
    const names = [
      name({ replicas: 2 }),
      name({ replicas: 3 }),
      name({ replicas: 3, bootstrap: { method: "ring" } }),
      name({ replicas: 3, bootstrap: { n: 1 } }),
      name({ replicas: 3 }, 2),
    ];
    expect(new Set(names).size).toBe(names.length);
    expect(name({ replicas: 3 })).toBe(names[1]);
    expect(name({ replicas: 1 })).toBeUndefined();
    expect(name({ replicas: 3, bootstrap: { enabled: false } })).toBeUndefined();
  });
});

describe("the graph", () => {
  test("grows with groups, not with peers", async () => {
    const keys = async (section: object) =>
      [...(await graphOf(section)).keys()].filter((key) => !key.startsWith("Job"));
    expect(await keys({ replicas: 100 })).toEqual(await keys({ replicas: 2 }));
    expect((await keys({ replicas: 4, groups: [{}, {}] })).length - (await keys({ replicas: 4 })).length).toBe(4);
  });

  test("has what Keramik has by the same names", async () => {
    const graph = await graphOf({ replicas: 3 });
    for (const key of [
      "Secret ceramic-admin",
      "ConfigMap keramik-peers",
      "Service ceramic-0",
      "StatefulSet ceramic-0",
    ]) {
      expect([...graph.keys()]).toContain(key);
    }
    const { data } = graph.get("ConfigMap keramik-peers") as { readonly data: Record<string, string> };
    const list = JSON.parse(data["peers.json"] ?? "") as { readonly ceramic: Record<string, unknown> }[];
    expect(list).toHaveLength(3);
    expect(list[1]?.ceramic).toMatchObject({
      ceramicAddr: "http://ceramic-0-1.ceramic-0.orrery-ceramic.svc.cluster.local:7007",
      ipfsRpcAddr: "http://ceramic-0-1.ceramic-0.orrery-ceramic.svc.cluster.local:5101",
      peerId: expect.stringMatching(/^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/),
      did: expect.stringMatching(/^did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}$/),
    });
  });

  test("tells the Services and sets of two groups apart", async () => {
    const graph = await graphOf({ replicas: 4, groups: [{ name: "a" }, { name: "b" }] });
    const selectors = ["a", "b"].flatMap((name) => {
      const service = graph.get(`Service ${name}`) as unknown as { readonly spec: { readonly selector: object } };
      const set = graph.get(`StatefulSet ${name}`) as unknown as PodObject;
      expect(service.spec.selector).toEqual(set.spec.selector.matchLabels);
      return [JSON.stringify(service.spec.selector)];
    });
    expect(new Set(selectors).size).toBe(2);
  });

  test("shows no private key outside of Secrets", async () => {
    const graph = await sampleGraph(experiment, { run: "a" });
    const secrets = graph.filter(({ type }) => type === "kubernetes:core/v1:Secret");
    const values = secrets.flatMap(({ inputs, secrets: marked }) => {
      expect(marked).toEqual(["stringData"]);
      return Object.values(inputs.stringData as Record<string, string>);
    });
    expect(values.length).toBeGreaterThanOrEqual(4);
    const rest = JSON.stringify(graph.filter((resource) => !secrets.includes(resource)));
    for (const value of values) expect(rest).not.toContain(value);
  });

  test("shows what comes of a Secret of the user's with a stand-in for it, and not that Secret", async () => {
    const graph = await sampleGraph(withNetwork({ privateKeySecret: "keramik/admin" }));
    const text = manifests(graph);
    expect(text).not.toContain("__pulumiUnknown");
    expect(text).toMatch(/"admin-dids": \[\s+"did:key:z6Mk/);
    expect(graph.map(({ name }) => name)).not.toContain("network-private-key");
    const own = await sampleGraph(withNetwork({}));
    expect(graph.map(({ name }) => name)).toEqual(own.map(({ name }) => name));
  });

  test("gives drivers the admin's key and the peers' further interfaces", async () => {
    const graph = await graphOf({ replicas: 2 }, { run: "a" });
    const { data } = graph.get("ConfigMap run-a") as { readonly data: Record<string, string> };
    const spec = JSON.parse(data["spec.json"] ?? "") as {
      readonly endpoints: readonly { readonly attributes: object }[];
    };
    expect(spec.endpoints[1]).toMatchObject({
      ordinal: 1,
      attributes: { ipfs: expect.stringMatching(/:5101$/), ipfsKind: "go", network: "inmemory" },
    });
    expect(JSON.stringify(graph.get("Job run-a"))).toContain("ceramic-admin");
  });
});

describe("a local network", () => {
  test("has a chain and an anchor service of its own that peers are told of and may reach", async () => {
    const graph = await graphOf({ networkType: "local", cas: { batchLinger: 3 } });
    for (const key of ["StatefulSet cas", "StatefulSet ganache", "Service cas", "Service ganache"]) {
      expect([...graph.keys()]).toContain(key);
    }
    expect(JSON.stringify(graph.get("StatefulSet cas"))).toContain('{"name":"CAS_BATCH_LINGER_MS","value":"3000"}');
    const { data } = graph.get("ConfigMap ceramic-0-settings") as { readonly data: Record<string, string> };
    expect(JSON.parse(data["daemon-config.json"] ?? "")).toMatchObject({
      anchor: {
        "anchor-service-url": "http://cas:8081",
        "ethereum-rpc-url": "http://ganache:8545",
        "auth-method": "did",
      },
      network: { name: "local", "pubsub-topic": "/ceramic/local-0" },
    });
  });

  test("has none where it is told of another, and an inmemory network never has", async () => {
    const told = { networkType: "local", casApiUrl: "http://cas.example:80", ethRpcUrl: "https://eth.example" };
    for (const section of [told, {}]) expect((await graphOf(section)).has("StatefulSet cas")).toBe(false);
    const { data } = (await graphOf(told)).get("ConfigMap ceramic-0-settings") as { readonly data: object };
    expect(JSON.stringify(data)).toContain("cas.example");
  });
});

describe("a peer's pod", () => {
  test("is prepared, then has kubo beside js-ceramic", async () => {
    const { names, set } = await podOf({});
    expect(names).toEqual(["prepare", "ipfs", "ceramic"]);
    expect(set.spec.volumeClaimTemplates).toHaveLength(2);
  });

  test("takes the section's variables over its own, and what comes of them into the configuration", async () => {
    const { graph, variable } = await podOf({ groups: [{ env: { CERAMIC_LOG_LEVEL: "1", EXTRA: "x" } }] });
    expect(variable("ceramic", "CERAMIC_LOG_LEVEL")).toBe("1");
    expect(variable("ceramic", "EXTRA")).toBe("x");
    const { data } = graph.get("ConfigMap ceramic-0-settings") as { readonly data: Record<string, string> };
    expect(JSON.parse(data["daemon-config.json"] ?? "")).toMatchObject({
      logger: { "log-level": 1 },
      network: { name: "inmemory", "pubsub-topic": "/ceramic/local-0" },
      node: {},
    });
  });

  test("takes commands into kubo's configuration, and routes by a DHT where that is asked for", async () => {
    const commands = ["ipfs config --json Swarm.ConnMgr.LowWater 7"];
    const { graph, variable } = await podOf({ routing: "dht", groups: [{ ipfs: { kind: "go", commands } }] });
    const { data } = graph.get("ConfigMap ceramic-0-settings") as { readonly data: Record<string, string> };
    expect(JSON.parse(data["kubo-config.json"] ?? "")).toMatchObject({
      Routing: { Type: "dhtserver" },
      Provide: { Enabled: true },
      Swarm: { ConnMgr: { LowWater: 7 }, DisableNatPortMap: true },
    });
    expect(variable("prepare", "CERAMIC_PEERING")).toBe("bootstrap");
    expect((await podOf({})).variable("prepare", "CERAMIC_PEERING")).toBe("all");
  });

  test("has the bounds that are written, defaults for the rest, and with devMode none", async () => {
    const groups = [{ resources: { cpu: "100m", cpuLimit: "100m" } }];
    expect((await podOf({ groups })).of("ceramic").resources).toEqual({
      requests: { cpu: "100m", memory: "512Mi" },
      limits: { cpu: "100m", memory: "512Mi" },
    });
    const slow = await podOf({ groups: [{ resources: { cpuLimit: "150m" } }] });
    expect(slow.of("ceramic").resources).toMatchObject({ requests: { cpu: "150m" }, limits: { cpu: "150m" } });
    const dev = await podOf({ groups, devMode: true });
    expect(dev.of("ceramic").resources).toEqual({ requests: { cpu: "100m" }, limits: { cpu: "100m" } });
    expect(dev.of("ipfs").resources).toEqual({ requests: {}, limits: {} });
  });

  test("runs ceramic-one, PostgreSQL, a debugger and on chosen nodes when told to", async () => {
    const { names, of, affinity, variable, set } = await podOf({
      debugMode: true,
      nodeSelectorTerms: [{ matchExpressions: [{ key: "pool", operator: "In", values: ["sim"] }] }],
      groups: [
        { index: "postgres", ipfs: { kind: "rust", image: "ceramic-one:dev", migrationCommand: ["from-ipfs"] } },
      ],
    });
    expect(names).toEqual(["prepare", "ipfs-migration", "ipfs", "postgres", "ceramic"]);
    expect(of("ipfs").image).toBe("ceramic-one:dev");
    expect(JSON.stringify(affinity)).toContain('"pool"');
    expect(variable("ceramic", "NODE_OPTIONS")).toBe("--inspect=127.0.0.1:9229");
    const { volumes } = set.spec.template.spec as unknown as { readonly volumes: readonly { readonly name: string }[] };
    const claims = set.spec.volumeClaimTemplates as unknown as readonly {
      readonly metadata: { readonly name: string };
    }[];
    expect(claims).toHaveLength(3);
    const there = [...volumes.map(({ name }) => name), ...claims.map(({ metadata }) => metadata.name)];
    for (const name of names) for (const mount of of(name).volumeMounts) expect(there).toContain(mount.name);
  });
});
