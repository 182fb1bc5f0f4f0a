import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeRlp } from "ethers";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { z } from "zod";
import { groupKey } from "../../../components/kubernetes/identity.ts";
import { extraData } from "../../../components/quorum/genesis.ts";
import { keyGroups } from "../../../components/quorum/keys.ts";
import { documentsOf, enodeOf, type GroupKeys, planQuorum } from "../../../components/quorum/plan.ts";
import { InputError } from "../../../schema/errors.ts";
import { loadExperiment } from "../../../schema/load.ts";
import { type QuorumSection, quorum, weiOf } from "../../../schema/systems/quorum.ts";

type Written = Omit<z.input<typeof quorum.network>, "system">;

const root = "01".repeat(32);
const keys: GroupKeys = {
  node: groupKey(root, "quorum", keyGroups.node),
  bootnode: groupKey(root, "quorum", keyGroups.bootnode),
  account: groupKey(root, "quorum", keyGroups.account),
  ptm: groupKey(root, "quorum", keyGroups.ptm),
  racecourse: groupKey(root, "quorum", keyGroups.racecourse),
};
const section = (written: Written = {}): QuorumSection => quorum.network.parse({ system: "quorum", ...written });
const documents = (network: QuorumSection) => documentsOf(network, planQuorum(network, "ns"), keys);
const validators = ["0x00000000000000000000000000000000000000Bb", "0x00000000000000000000000000000000000000aA"];

describe("extraData", () => {
  const sorted = [...validators].map((address) => address.toLowerCase()).sort();

  test("of qbft is one list: vanity, validators in order, no vote, round 0, no seals", () => {
    expect(decodeRlp(extraData("qbft", validators))).toEqual([`0x${"00".repeat(32)}`, sorted, [], "0x", []]);
  });

  test("of ibft is the vanity and a list: validators in order, no seal, no committed seals", () => {
    const data = extraData("ibft", validators);
    expect(data.slice(0, 66)).toBe(`0x${"00".repeat(32)}`);
    expect(decodeRlp(`0x${data.slice(66)}`)).toEqual([sorted, "0x", []]);
  });

  test("of clique is vanity, signers in order and an empty seal, as EIP-225 has it", () => {
    const bare = sorted.map((address) => address.slice(2)).join("");
    expect(extraData("clique", validators)).toBe(`0x${"00".repeat(32)}${bare}${"00".repeat(65)}`);
  });
});

describe("the plan", () => {
  test("is the same twice, names every member once, and holds no private key", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), (nodes) => {
        const network = section({ nodes, accounts: 2 });
        const plan = planQuorum(network, "ns");
        expect(planQuorum(network, "ns")).toEqual(plan);
        expect(new Set(plan.members.map(({ host }) => host)).size).toBe(nodes);
        const made = JSON.stringify(documents(network));
        for (const key of Object.values(keys)) expect(made).not.toContain(key);
      }),
      { numRuns: 6 },
    );
  });

  test("keeps the first block when observers come", () => {
    const before = documents(section({ nodes: 4, validators: 4 }));
    const after = documents(section({ nodes: 7, validators: 4 }));
    expect(after.genesis).toBe(before.genesis);
    expect(after.identities.slice(0, 4)).toEqual(before.identities);
  });

  test.each([
    ["qbft", 4, 3],
    ["ibft", 7, 5],
    ["qbft", 3, 2],
    ["raft", 5, 3],
    ["clique", 4, 3],
  ] as const)("of %s needs of %i validators %i", (consensus, nodes, needed) => {
    expect(planQuorum(section({ consensus, nodes }), "ns").quorum).toBe(needed);
  });

  test("gives every account and every allocation its balance", () => {
    const address = "0x00000000000000000000000000000000000000AA";
    const { genesis } = documents(section({ accounts: 3, allocations: [{ address, balance: "5 ether" }] }));
    const { alloc } = JSON.parse(genesis) as { alloc: Record<string, { balance: string }> };
    expect(Object.keys(alloc)).toHaveLength(4);
    expect(alloc[address.toLowerCase()]).toEqual({ balance: "0x4563918244f40000" });
    expect(weiOf("7")).toBe(7n);
  });

  test("writes enode URLs by DNS name, for raft with its port and without discovery", () => {
    const url = (network: QuorumSection): URL => {
      const plan = planQuorum(network, "ns");
      const [member] = plan.members;
      const [identity] = documents(network).identities;
      if (member === undefined || identity === undefined) throw new Error("no member");
      return new URL(enodeOf(plan, member, identity));
    };
    expect(url(section({ consensus: "raft" })).search).toBe("?discport=0&raftport=50400");
    expect(url(section()).search).toBe("?discport=30303");
    expect(url(section()).host).toBe("quorum-0.quorum.ns.svc.cluster.local:30303");
  });
});

describe("what no network can be", () => {
  const problems = (written: Written, operations: readonly string[] = ["transfer"]) =>
    quorum.problems(section(written), operations).map(({ path, rule }) => `${path}: ${rule}`);

  test.each([
    [{}, []],
    [{ consensus: "ibft", privacy: "tessera" }, []],
    [{ client: "geth", consensus: "clique" }, []],
    [{ consensus: "raft", blockPeriod: "50ms" }, []],
    [{ client: "geth" }, ["network.consensus: geth has no qbft."]],
    [{ client: "geth", consensus: "raft" }, ["network.consensus: geth has no raft."]],
    [
      { client: "geth", consensus: "clique", privacy: "constellation" },
      ["network.privacy: geth with clique carries no private transactions."],
    ],
    [
      { consensus: "clique", privacy: "tessera" },
      ["network.privacy: goquorum with clique carries no private transactions."],
    ],
    [
      { consensus: "raft", nodes: 4, validators: 3 },
      ["network.validators: every node of a raft network takes part in consensus; observers are not supported."],
    ],
    [
      { nodes: 3, validators: 4 },
      ["network.validators: 4 validators cannot be among 3 nodes, so no majority of them would ever meet."],
    ],
    [
      { privacy: "constellation", manager: "tessera" },
      ["network.manager: Tessera does not carry private transactions with privacy: constellation."],
    ],
    [
      { nodes: 1, privacy: "constellation" },
      ["network.privacy: a private transaction has at least two parties, and there is 1 node."],
    ],
    [{ layout: "set-per-node", nodes: 16 }, []],
    [{ layout: "set-per-node", nodes: 17 }, ["network.layout: 17 nodes would be as many StatefulSets and claims."]],
    [
      { chainId: 1 },
      ["network.chainId: goquorum takes every transaction that is signed for chain 1 for a private one."],
    ],
    [{ client: "geth", consensus: "clique", chainId: 1 }, []],
    [{ blockPeriod: "1500ms" }, ["network.blockPeriod: qbft counts whole seconds, not 1500 ms."]],
  ] as const)("%j", (written, expected) => {
    expect(problems(written)).toEqual(expected);
  });

  test("volumes of its own without a set per node", () => {
    const volumes = { path: "/data", hosts: ["minikube"] };
    expect(problems({ volumes, layout: "set-per-node" })).toEqual([]);
    expect(problems({ volumes })).toEqual([
      "network.volumes: one StatefulSet of all nodes has claims of the cluster's storage only.",
    ]);
  });

  test("has private transactions in its load but no manager for them", () => {
    expect(problems({}, ["private_transfer"])).toEqual([
      "workload.operations.private_transfer: the network carries no private transactions.",
    ]);
    expect(problems({ privacy: "constellation" }, ["private_transfer"])).toEqual([]);
  });

  test("is told before anything is made, all of it at once, by line and path", async () => {
    const folder = await mkdtemp(join(tmpdir(), "orrery-quorum-"));
    const file = join(folder, "bad.yaml");
    const text = await readFile("examples/quorum.yaml", "utf8");
    const wrong =
      "consensus: raft\n  validators: 2\n  blockPeriod: 50ms\n  addresses: {bootnode: 198.19.0.9, nodes: 198.19.0.9}";
    const bad = text.replace("consensus: qbft", wrong).replace("privacy: constellation", "privacy: none");
    await writeFile(file, bad);
    const failed = await loadExperiment(file).catch((error: unknown) => error);
    await rm(folder, { recursive: true });
    expect(failed).toBeInstanceOf(InputError);
    const lineOf = (word: string): number => bad.split("\n").findIndex((line) => line.includes(word)) + 1;
    expect((failed as InputError).problems.map(({ at, path }) => `${at} ${path}`)).toEqual([
      `${file}:${lineOf("validators")} network.validators`,
      `${file}:${lineOf("addresses")} network.addresses.nodes`,
      `${file}:${lineOf("private_transfer")} workload.operations.private_transfer`,
    ]);
  });

  test("funds an account twice", () => {
    const address = "0x00000000000000000000000000000000000000AA";
    const twice = [
      { address, balance: "1" },
      { address: address.toLowerCase(), balance: "2" },
    ];
    expect(problems({ allocations: twice })).toEqual([
      `network.allocations[1].address: ${address.toLowerCase()} has a balance already.`,
    ]);
  });

  test.each([
    [{ chainId: 0 }, /expected number to be >=1/],
    [{ allocations: [{ address: "0x12", balance: "1" }] }, /"0x12" is no address/],
    [{ allocations: [{ address: validators[0], balance: "-1" }] }, /"-1" is no balance/],
    [{ allocations: [{ address: validators[0], balance: "9".repeat(78) }] }, /at most 256 bits/],
    [{ validators: 0 }, /expected number to be >=1/],
  ])("has %j in its section", (written, message) => {
    const parsed = quorum.network.safeParse({ system: "quorum", ...written });
    expect(parsed.error?.issues.map((issue) => issue.message).join()).toMatch(message);
  });

  test("warns of validators that tolerate no failure, and of keys that anybody can derive", () => {
    const paths = (written: Written) => quorum.warnings(section(written)).map(({ path }) => path);
    expect(paths({})).toEqual([]);
    expect(paths({ nodes: 3 })).toEqual(["network.nodes"]);
    expect(paths({ nodes: 5, validators: 2, consensus: "clique" })).toEqual(["network.validators"]);
    expect(paths({ deterministic: true })).toEqual(["network.deterministic"]);
  });
});
