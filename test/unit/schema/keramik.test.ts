import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { InputError } from "../../../schema/errors.ts";
import { customResourceDefinitions, type spellings } from "../../../schema/keramik/crd.ts";
import { isKeramik, readKeramik } from "../../../schema/keramik/read.ts";
import { parseExperiment } from "../../../schema/load.ts";
import { ceramicScenarios } from "../../../schema/systems/ceramic-workload.ts";
import { orrery } from "../../support/cli.ts";

const folder = "test/fixtures/keramik";
const files = readdirSync(folder).filter((name) => name.endsWith(".yaml"));
const fixture = (name: string): string => readFileSync(`${folder}/${name}`, "utf8");
const small = fixture("small.yaml");
const basic = fixture("basic.yaml");
const joined = (...documents: string[]): string =>
  documents.map((text) => `---\n${text.replace(/^---\n/, "")}`).join("");

function problemsOf(text: string): string {
  try {
    readKeramik(text, "k.yaml");
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return (error as InputError).message;
  }
  return "";
}

describe("Keramik's resources", () => {
  test("are told from experiments", () => {
    expect(files.every((name) => isKeramik(fixture(name)))).toBe(true);
    expect(isKeramik(readFileSync("examples/kv.yaml", "utf8"))).toBe(false);
  });

  test("small and basic are two peers with five users each, for four minutes", () => {
    const { written } = readKeramik(joined(fixture("kind.yaml"), small, basic), "k.yaml");
    expect(written).toEqual({
      schema: "orrery/v1",
      name: "small",
      network: { system: "ceramic", replicas: 2 },
      workload: {
        operations: { update: 1, read: 1 },
        arrival: { users: 10 },
        phases: { warmup: "10s", measure: "4m", cooldown: "5s" },
        workers: 2,
        timeout: "30s",
        parameters: {
          did: "shared",
          model: "author",
          shapes: ["small", "large"],
          documents: 1,
          peers: "worker",
          authors: 5,
        },
      },
      objectives: [],
      observe: { replication: { deadline: "30s" } },
    });
  });

  test.each([
    ["rust-default.yaml", { kind: "rust" }],
    ["rust-image.yaml", { kind: "rust", image: "rust-ceramic/ceramic-one:dev", imagePullPolicy: "IfNotPresent" }],
    ["go-default.yaml", { kind: "go" }],
    ["go-image.yaml", { kind: "go", image: "ceramic/go-ipfs:dev-validator", imagePullPolicy: "IfNotPresent" }],
    ["today-rust.yaml", { kind: "rust" }],
    ["today-go.yaml", { kind: "go", image: "ceramic/go-ipfs:dev-validator", imagePullPolicy: "IfNotPresent" }],
  ])("%s is five peers with its IPFS", (file, ipfs) => {
    const { written } = readKeramik(fixture(file), file);
    expect(written.network).toEqual({ system: "ceramic", replicas: 5, groups: [{ ipfs }] });
  });

  test("today's spelling counts users for each peer, throttles by rate and judges the slowest peer", () => {
    const { written } = readKeramik(joined(small, fixture("today-simulation.yaml")), "k.yaml");
    expect(written).toMatchObject({
      workload: { arrival: { rate: "50/s" }, workers: 1, phases: { measure: "2m" }, parameters: { authors: 4 } },
      objectives: [{ metric: "member_rate", min: "20/s" }],
    });
  });

  test("limits, volumes and PostgreSQL keep their meaning; what means nothing here is said", () => {
    const { written, warnings } = readKeramik(
      `${small}  datadog: {enabled: true}
  networkType: local
  casApiUrl: http://cas:8081
  privateKeySecret: mine
  ceramic:
    - weight: 2
      initImageName: some/cli
      resourceLimits: {cpu: 1, memory: 1073741824}
      storage: {size: 2Gi, class: fast}
      postgresStorage: {size: 3Gi}
      ipfs: {go: {storageClass: slow, commands: ["ipfs config A b"]}}
`,
      "k.yaml",
    );
    expect(written.network).toEqual({
      system: "ceramic",
      replicas: 2,
      networkType: "local",
      privateKeySecret: "keramik/mine",
      groups: [
        {
          weight: 2,
          resources: { cpu: "1", cpuLimit: "1", memory: "1073741824B" },
          storage: "2Gi",
          storageClass: "fast",
          index: "postgres",
          postgres: { storage: "3Gi" },
          ipfs: { kind: "go", storageClass: "slow", commands: ["ipfs config A b"] },
        },
      ],
    });
    expect(warnings.map(({ at, path }) => `${at} ${path}`)).toEqual([
      "k.yaml:7 spec.datadog",
      "k.yaml:11 spec.ceramic",
      "k.yaml:1 ",
    ]);
  });

  test("monitoring of its own is Prometheus, traces and Keramik's metrics; a PodMonitor is warned about", () => {
    const watched = `${small}  monitoring: {namespaced: true, podMonitor: {enabled: true}}\n`;
    const { experiment, warnings } = parseExperiment(joined(watched, basic), "k.yaml");
    expect(experiment.observe).toMatchObject({
      prometheus: true,
      traces: { sample: 0.01 },
      goose: true,
      replication: { deadline: 30_000 },
    });
    expect(warnings.map(({ path }) => path)).toContain("spec.monitoring.podMonitor");
    const off = parseExperiment(joined(`${small}  monitoring: {namespaced: false}\n`, basic), "k.yaml");
    expect(off.experiment.observe).toMatchObject({ prometheus: false, goose: false });
  });

  test.each([
    ["anchorWaitTime", "ceramic-simple does not look at anchors"],
    ["successRequestTarget", "ceramic-simple has no target to reach"],
  ])("%s is warned about where the scenario does nothing with it", (field, why) => {
    const { warnings } = readKeramik(joined(small, `${basic}  ${field}: 5\n`), "k.yaml");
    expect(warnings.find(({ path }) => path === `spec.${field}`)?.rule).toContain(why);
  });

  test.each(Object.keys(ceramicScenarios))("the scenario %s is known", (scenario) => {
    const kind = scenario === "recon-event-sync" ? "rust" : "go";
    const network = `${small}  networkType: local\n  ceramic: [{ipfs: {${kind}: {}}}]\n`;
    const simulation = `${basic.replace("ceramic-simple", scenario)}  anchorWaitTime: 90\n`;
    const { written } = readKeramik(joined(network, simulation), "k.yaml");
    expect(written.workload).toMatchObject({ operations: { ...ceramicScenarios[scenario as "ipfs-rpc"].operations } });
  });

  test.each([
    [
      "an unknown field of a network",
      small.replace("replicas: 2", "replicas: 2\n  replica: 3"),
      /k\.yaml:7 spec\.replica: unknown key "replica"\. Known here: replicas, bootstrap/,
    ],
    [
      "an unknown field deep inside",
      `${small}  ceramic:\n    ipfs:\n      kind: go\n      imagge: x\n`,
      /k\.yaml:10 spec\.ceramic\.ipfs\.imagge: unknown key "imagge"/,
    ],
    ["zero replicas", small.replace("2", "0"), /k\.yaml:6 spec\.replicas: 0/],
    [
      "an unknown kind of IPFS",
      `${small}  ceramic: {ipfs: {kind: java}}\n`,
      /k\.yaml:7 spec\.ceramic\.ipfs\.kind: .*rust.*go/,
    ],
    ["IPFS twice", `${small}  ceramic: [{ipfs: {go: {}, rust: {}}}]\n`, /say how IPFS runs once/],
    [
      "an unknown scenario",
      joined(small, basic.replace("ceramic-simple", "ceramic-hard")),
      /k\.yaml:15 spec\.scenario: there is no scenario "ceramic-hard"; there are ceramic-simple/,
    ],
    [
      "a time to live",
      `${small}  ttlSeconds: 3600\n`,
      /k\.yaml:7 spec\.ttlSeconds: nothing here deletes a network .*orrery run --destroy/,
    ],
    ["both run times", joined(small, `${basic}  runTime: 4\n`), /give the run time once/],
    ["no run time", joined(small, basic.replace(/ {2}run_time: 4\n/, "")), /give the run time once/],
    [
      "users that do not divide",
      joined(small, basic.replace("users: 10", "users: 9")),
      /k\.yaml:16 spec\.users: 9 users do not divide among 2 peers/,
    ],
    [
      "another network's namespace",
      joined(small, basic.replace("keramik-small", "keramik-big")),
      /k\.yaml:13 metadata\.namespace: "keramik-big" is not/,
    ],
    ["a Simulation alone", basic, /there is no Network/],
    ["two Networks", joined(small, small), /k\.yaml:9: it is a second Network/],
    [
      "a kind that is not read",
      small.replace("kind: Network", "kind: LoadGenerator"),
      /k\.yaml:2 kind: "LoadGenerator" is none/,
    ],
    ["Recon over kubo", joined(small, basic.replace("ceramic-simple", "recon-event-sync")), /needs ceramic-one/],
    [
      "anchors without a wait",
      joined(`${small}  networkType: local\n`, basic.replace("ceramic-simple", "ceramic-anchoring-benchmark")),
      /spec\.anchorWaitTime: it is missing/,
    ],
    [
      "anchors without an anchor service",
      joined(small, `${basic.replace("ceramic-simple", "ceramic-anchoring-benchmark")}  anchorWaitTime: 1\n`),
      /no anchors/,
    ],
    ["text that is no YAML", `${small}  ceramic: [\n`, /not valid YAML/],
  ])("%s is refused, with its place", (_, text, message) => {
    expect(problemsOf(text)).toMatch(message);
  });
});

describe("as experiments", () => {
  const warnedOf = (text: string): string[] => parseExperiment(text, "k.yaml").warnings.map(({ rule }) => rule);

  test.each(files.filter((name) => fixture(name).includes("kind: Network")))("%s is one", async (name) => {
    expect(parseExperiment(fixture(name), name).experiment.network.system).toBe("ceramic");
    const { written } = readKeramik(fixture(name), name);
    await expect(stringify(written)).toMatchFileSnapshot(`keramik/${name}`);
  });

  test("small and basic together are one", async () => {
    const text = joined(small, basic);
    expect(parseExperiment(text, "k.yaml").experiment).toMatchObject({ name: "small", workload: { workers: 2 } });
    await expect(stringify(readKeramik(text, "k.yaml").written)).toMatchFileSnapshot("keramik/small-basic.yaml");
  });

  test("a Network alone is warned about, with what is taken for granted", () => {
    expect(warnedOf(small)).toEqual([
      expect.stringMatching(/networkType is not written; inmemory is taken/),
      expect.stringMatching(/there is no Simulation/),
    ]);
  });

  test.each([
    ["weight", `${small}  ceramic:\n    - weight: 0\n`, /k\.yaml:8 spec\.ceramic\[0\]\.weight: /],
    [
      "volumes",
      `${small}  ceramic:\n    - storage: {size: 1Mi}\n`,
      /k\.yaml:8 spec\.ceramic\[0\]\.storage: .*out of range/,
    ],
    [
      "commands",
      `${small}  ceramic:\n    - ipfs: {go: {commands: [rm]}}\n`,
      /k\.yaml:8 spec\.ceramic\[0\]\.ipfs: .*ipfs config/,
    ],
    ["peers", small.replace("2", "900"), /k\.yaml:6 spec\.replicas: 900/],
    [
      "anchor service",
      `${small}  networkType: mainnet\n`,
      /spec\.casApiUrl: a mainnet network needs an anchor service/,
    ],
    ["users", joined(small, basic.replace("users: 10", "users: 20002")), /k\.yaml:16 spec\.users: /],
  ])("what an experiment cannot have is told in Keramik's words: %s", (_, text, message) => {
    expect(() => parseExperiment(text, "k.yaml")).toThrow(message);
  });
});

describe("the CRDs", () => {
  const validatorOf = (spelling: (typeof spellings)[number], kind: string) => {
    const definition = customResourceDefinitions(spelling).find((one) => kindOf(one) === kind);
    const { versions } = (definition as { spec: { versions: { schema: { openAPIV3Schema: object } }[] } }).spec;
    return z.fromJSONSchema(versions[0]?.schema.openAPIV3Schema as Parameters<typeof z.fromJSONSchema>[0]);
  };
  const resources = files.map((name) => ({ name, resource: parse(fixture(name)) as { kind: string } }));
  const own = resources.filter(({ resource }) => resource.kind !== "Cluster");

  test.each(own)("$name is valid", ({ resource }) => {
    expect(validatorOf("both", resource.kind).safeParse(resource).error).toBeUndefined();
  });

  test.each(own.filter(({ name }) => name.startsWith("today")))(
    "$name is valid as today's spelling only",
    ({ resource }) => {
      expect(validatorOf("today", resource.kind).safeParse(resource).success).toBe(true);
      expect(validatorOf("seed", resource.kind).safeParse(resource).success).toBe(false);
    },
  );

  test.each([
    ["zero replicas", "Network", { spec: { replicas: 0 } }],
    ["no replicas", "Network", { spec: {} }],
    ["an unknown scenario", "Simulation", { spec: { scenario: "x", users: 1, runTime: 1 } }],
    ["no users", "Simulation", { spec: { scenario: "ipfs-rpc", runTime: 1 } }],
    ["no spec", "Simulation", {}],
  ])("refuse %s", (_, kind, resource) => {
    expect(validatorOf("both", kind).safeParse(resource).success).toBe(false);
  });

  test("are what the command writes", async () => {
    const { code, stdout } = await orrery(["crd", "--spelling", "seed", "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(JSON.parse(JSON.stringify(customResourceDefinitions("seed"))));
  });
});

const kindOf = (definition: Readonly<Record<string, unknown>>): string =>
  (definition as { spec: { names: { kind: string } } }).spec.names.kind;
