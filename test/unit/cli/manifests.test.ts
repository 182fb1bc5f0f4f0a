import { expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { loadExperiment } from "../../../schema/load.ts";
import { kustomization, manifests, operatorStack } from "../../../stacks/manifests.ts";
import { sampleGraph } from "../../../stacks/sample.ts";

const { experiment } = await loadExperiment("examples/kv.yaml");
const graph = await sampleGraph(experiment, { run: "sample" });
const secrets = graph.filter(({ inputs }) => inputs.kind === "Secret");

test("manifests apply in their order and hold no secret value", () => {
  const documents = parseAllDocuments(manifests(graph)).map((document) => document.toJS());
  expect(documents[0]).toMatchObject({ kind: "Namespace" });
  const places = documents.map(({ kind, metadata }) => `${kind} ${metadata.namespace} ${metadata.name}`);
  expect(places.filter((place) => place.includes("undefined") && !/^(Namespace|Cluster)/.test(place))).toEqual([]);
  expect(new Set(places).size).toBe(places.length);
  const found = documents.filter(({ kind }) => kind === "Secret");
  expect(found).toHaveLength(secrets.length);
  for (const { data, stringData } of found) {
    expect(new Set(Object.values({ ...data, ...stringData }))).toEqual(new Set(["(secret)"]));
  }
});

test("manifests say the same to readers of YAML 1.1, to whom a plain `off` is false", async () => {
  const { experiment: ceramic } = await loadExperiment("examples/ceramic.yaml"); // has a variable that is "off"
  const text = manifests(await sampleGraph(ceramic));
  const read = (version: "1.1" | "1.2") => parseAllDocuments(text, { version }).map((document) => document.toJS());
  expect(text).toContain("IPFS_TELEMETRY");
  expect(read("1.1")).toEqual(read("1.2"));
});

test("a kustomization names every file it comes with, and reads secrets from files", () => {
  const [index, ...files] = kustomization(graph);
  const base = parse(index?.text ?? "");
  expect(base.resources).toEqual(files.map(({ path }) => path));
  expect(new Set(base.resources).size).toBe(files.length);
  expect(files.length + secrets.length).toBe(graph.filter(({ type }) => type.startsWith("kubernetes:")).length);
  expect(base.secretGenerator).toHaveLength(secrets.length);
  for (const generator of base.secretGenerator) {
    expect(generator.files.length).toBeGreaterThan(0);
    expect(generator.files[0]).toMatch(new RegExp(`^[^=]+=secrets/${generator.name}/`));
  }
});

test("the operator's Stack runs this program with its secrets from a Secret", () => {
  const settings = { stack: "kv-eks", repository: "https://example.org/orrery.git", branch: "main", namespace: "ops" };
  const text = operatorStack({ ...settings, config: { experiment: "examples/kv.yaml", target: "eks" } });
  const [account, binding, stack] = parseAllDocuments(text).map((document) => document.toJS());
  expect(account.kind).toBe("ServiceAccount");
  expect(binding.subjects).toEqual([{ kind: "ServiceAccount", name: account.metadata.name, namespace: "ops" }]);
  expect(stack.spec).toMatchObject({
    stack: "kv-eks",
    projectRepo: settings.repository,
    serviceAccountName: account.metadata.name,
    config: { "orrery:experiment": "examples/kv.yaml", "orrery:target": "eks" },
  });
  expect(stack.spec.secretsRef["orrery:rootSecret"].secret.key).toBe("rootSecret");
});
