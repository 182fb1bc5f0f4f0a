import { readdirSync, readFileSync } from "node:fs";
import { ApiException, CustomObjectsApi, KubeConfig } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { parse } from "yaml";
import { customResourceDefinitions, type Spelling } from "../../schema/keramik/crd.ts";
import { cluster } from "../support/cluster.ts";

const folder = "test/fixtures/keramik";
const group = "keramik.3box.io";

interface Resource {
  readonly kind: string;
  readonly spec: Readonly<Record<string, unknown>>;
}

const resources = readdirSync(folder)
  .filter((name) => name.endsWith(".yaml"))
  .map((name) => ({ name, resource: parse(readFileSync(`${folder}/${name}`, "utf8")) as Resource }))
  .filter(({ resource }) => resource.kind !== "Cluster");

interface Definition {
  readonly metadata: { readonly name: string };
  readonly spec: unknown;
}

const definitionsOf = (spelling: Spelling): Definition[] =>
  customResourceDefinitions(spelling) as unknown as Definition[];

/** CRDs as plain objects: the client's own type of them would drop the extensions of a schema. */
const crds = { group: "apiextensions.k8s.io", version: "v1", plural: "customresourcedefinitions" };

/** What a real API server makes of the CRDs: it alone says whether a schema is structural, and runs its rules. */
describe.skipIf(!cluster.available)("Keramik's resources at an API server", () => {
  let objects: CustomObjectsApi;

  beforeAll(async () => {
    const config = new KubeConfig();
    config.loadFromFile(cluster.kubeconfig());
    objects = config.makeApiClient(CustomObjectsApi);
    for (const body of definitionsOf("both")) {
      await objects.createClusterCustomObject({ ...crds, body });
    }
    const served = async (): Promise<void> => {
      await dryRun({ kind: "Network", spec: { replicas: 1 } });
      await dryRun({ kind: "Simulation", spec: { scenario: "ipfs-rpc", users: 1, runTime: 1 } });
    };
    await vi.waitFor(served, { timeout: 60_000, interval: 500 });
  });

  afterAll(async () => {
    for (const { metadata } of definitionsOf("both")) {
      await objects.deleteClusterCustomObject({ ...crds, name: metadata.name });
    }
  });

  /** Has the server check a resource, unknown fields too, without keeping it. */
  async function dryRun({ kind, spec }: Resource): Promise<void> {
    const version = "v1alpha1";
    const body = { apiVersion: `${group}/${version}`, kind, metadata: { name: "checked" }, spec };
    const how = { group, version, body, dryRun: "All", fieldValidation: "Strict" };
    await (kind === "Network"
      ? objects.createClusterCustomObject({ ...how, plural: "networks" })
      : objects.createNamespacedCustomObject({ ...how, plural: "simulations", namespace: "default" }));
  }

  async function refusal(resource: Resource): Promise<string> {
    try {
      await dryRun(resource);
    } catch (error) {
      if (error instanceof ApiException) {
        return String(error.body);
      }
      throw error;
    }
    return "";
  }

  test.each(resources)("$name is valid", async ({ resource }) => {
    expect(await refusal(resource)).toBe("");
  });

  test.each([
    ["zero replicas", "Network", { replicas: 0 }, /replicas/],
    ["an unknown field", "Network", { replicas: 1, replica: 2 }, /unknown field .*spec\.replica/],
    ["an unknown type", "Network", { replicas: 1, networkType: "moon" }, /networkType/],
    ["IPFS twice", "Network", { replicas: 1, cas: { ipfs: { go: {}, rust: {} } } }, /say how IPFS runs once/],
    ["an unknown scenario", "Simulation", { scenario: "x", users: 1, runTime: 1 }, /scenario/],
    ["no run time", "Simulation", { scenario: "ipfs-rpc", users: 1 }, /give the run time once/],
    [
      "two run times",
      "Simulation",
      { scenario: "ipfs-rpc", users: 1, runTime: 1, run_time: 1 },
      /give the run time once/,
    ],
  ])("%s is refused", async (_, kind, spec, message) => {
    expect(await refusal({ kind, spec })).toMatch(message);
  });

  test.each<Spelling>(["today", "seed"])("the CRDs of the spelling %s are accepted as well", async (spelling) => {
    for (const body of definitionsOf(spelling)) {
      const { name } = body.metadata;
      const current = (await objects.getClusterCustomObject({ ...crds, name })) as object;
      await objects.replaceClusterCustomObject({ ...crds, name, body: { ...current, spec: body.spec }, dryRun: "All" });
    }
  });
});
