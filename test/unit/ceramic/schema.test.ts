import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ceramicGroups, splitByWeight } from "../../../schema/systems/ceramic.ts";
import { kuboSetting, wordsOf } from "../../../schema/systems/ceramic-group.ts";
import { systems } from "../../../schema/systems/index.ts";

const { ceramic } = systems;
const parse = (section: object) => ceramic.network.parse({ system: "ceramic", ...section });
const problems = (section: object) => ceramic.problems(parse(section), []).map(({ path, rule }) => `${path}: ${rule}`);

describe("weights", () => {
  test.each([
    [5, [1, 1], [3, 2]],
    [3, [2, 1], [2, 1]],
    [24, [3, 1], [18, 6]],
    [16, [4, 2, 1], [10, 4, 2]],
  ])("split %i replicas over %j as Keramik does", (replicas, weights, shares) => {
    expect(splitByWeight(replicas, weights)).toEqual(shares);
  });

  test("lose no replica, whatever they are", () => {
    const weights = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), weights, (replicas, list) => {
        expect(splitByWeight(replicas, list).reduce((sum, share) => sum + share, 0)).toBe(replicas);
      }),
    );
  });
});

describe("the network section", () => {
  test("is a network of three peers over kubo without anchors when it says nothing", () => {
    const network = parse({});
    expect(network).toMatchObject({ replicas: 3, networkType: "inmemory", bootstrap: { method: "sentinel", n: 3 } });
    expect(ceramicGroups(network)).toMatchObject([{ name: "ceramic-0", replicas: 3, ipfs: { kind: "go" } }]);
    expect(ceramic.images(network, false)).toEqual(["ceramic", "kubo"]);
    expect(problems({})).toEqual([]);
  });

  test.each([
    [{ replicas: 0 }, /expected number to be >=1/],
    [{ groups: [{ ipfs: { kind: "js" } }] }, /kind/],
    [{ groups: [] }, />=1 items/],
    [{ groups: Array.from({ length: 11 }, () => ({})) }, /<=10 items/],
    [{ networkType: "clay" }, /networkType/],
    [{ privateKeySecret: "admin" }, /<namespace>\/<name>/],
    [{ casApiUrl: "cas:8081" }, /http/],
    [{ bootstrap: { method: "star" } }, /method/],
    [{ groups: [{ ipfs: { kind: "go", commands: ["rm -rf /data"] } }] }, /there is no shell/],
    [{ groups: [{ ipfs: { kind: "go", rustLog: "debug" } }] }, /rustLog/],
  ])("refuses %j", (section, message) => {
    expect(() => parse(section)).toThrow(message);
  });

  test.each([
    [{ groups: [{ name: "a" }, { name: "a" }] }, "network.groups[1].name: there are two groups a."],
    [{ groups: [{}, { name: "ceramic-0" }] }, "network.groups[1].name: there are two groups ceramic-0."],
    [{ replicas: 1, groups: [{}, {}] }, "network.groups[1].weight: ceramic-1 gets none of the 1 replicas."],
    [
      { groups: [{}, { ipfs: { kind: "rust" } }] },
      "network.groups: kubo and ceramic-one do not speak with each other, so the groups would be two networks.",
    ],
    [
      { networkType: "local", cas: { enabled: false } },
      "network.casApiUrl: a local network needs an anchor service, and cas.enabled is off.",
    ],
    [{ networkType: "mainnet" }, "network.casApiUrl: a mainnet network needs an anchor service."],
    [
      { networkType: "local", casApiUrl: "http://cas:8081" },
      "network.ethRpcUrl: anchors of that service cannot be checked without its chain.",
    ],
    [
      { casApiUrl: "http://cas:8081" },
      "network.casApiUrl: an inmemory network has no anchors, so no anchor service would be asked.",
    ],
  ])("of %j has one problem", (section, problem) => expect(problems(section)).toEqual([problem]));

  test("bounds CPU by no less than is requested", () => {
    const groups = [{ resources: { cpu: "500m", cpuLimit: "100m" } }];
    expect(() => parse({ groups })).toThrow(/less than the CPU that is requested/);
    expect(() => parse({ groups: [{ resources: { cpu: "100m", cpuLimit: "100m" } }] })).not.toThrow();
  });

  test("names the images that its pods run", () => {
    const images = (section: object) => ceramic.images(parse(section), false);
    expect(images({ groups: [{ ipfs: { kind: "go", image: "ipfs/kubo:v0.38.0" } }] })).toEqual(["ceramic"]);
    expect(images({ groups: [{ ipfs: { kind: "rust" } }] })).toEqual(["ceramic", "ceramic-one"]);
    expect(images({ groups: [{ index: "postgres" }] })).toEqual(["ceramic", "kubo", "postgres"]);
  });
});

describe("a line of commands", () => {
  test.each([
    ["ipfs config Routing.Type none", { path: ["Routing", "Type"], value: "none" }],
    ["ipfs config --json Swarm.RelayClient.Enabled false", { path: ["Swarm", "RelayClient", "Enabled"], value: false }],
    [`ipfs config --json Swarm.ConnMgr '{"LowWater": 1}'`, { path: ["Swarm", "ConnMgr"], value: { LowWater: 1 } }],
    ["ipfs config --bool Pubsub.Enabled true", { path: ["Pubsub", "Enabled"], value: true }],
  ])("%s is a setting", (line, setting) => expect(kuboSetting(line)).toEqual(setting));

  test.each([
    "ipfs pin add x",
    "ipfs config Routing.Type",
    "ipfs config --json A {",
    "sh -c x",
    "",
    "ipfs config a b c",
  ])("%s is none", (line) => expect(kuboSetting(line)).toBeUndefined());

  test("is taken apart as a shell would", () => {
    expect(wordsOf(`a 'b c' "d \\"e\\"" f`)).toEqual(["a", "b c", 'd "e"', "f"]);
  });
});
