import { readFileSync } from "node:fs";
import * as k8s from "@pulumi/kubernetes";
import { secret } from "@pulumi/pulumi";
import { expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { expected } from "./differences.ts";
import { conformance, type TestStack } from "./harness.ts";

const minute = 60_000;

function oneMap(stack: TestStack): TestStack {
  return stack.program(({ namespace, opts }) => {
    new k8s.core.v1.ConfigMap("map", { metadata: { namespace }, data: { a: "1" } }, opts);
    return {};
  });
}

/** The same kubeconfig, pointing at a port where nothing listens. */
function unreachable(kubeconfig: string): string {
  const config = parse(readFileSync(kubeconfig, "utf8")) as { clusters: { cluster: { server: string } }[] };
  for (const each of config.clusters) each.cluster.server = "https://127.0.0.1:9";
  return stringify(config);
}

conformance("provider: secrets, outages, restarts", (bench) => {
  it("keeps secrets out of the state and of plain outputs", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("secret");
    const plain = "correct-horse-battery";
    const marked = "staple-of-the-annotation";
    stack.program(({ namespace, opts }) => {
      const annotations = { note: secret(marked) };
      const first = new k8s.core.v1.Secret(
        "first",
        { metadata: { namespace, annotations }, stringData: { plain } },
        opts,
      );
      new k8s.core.v1.ConfigMap(
        "second",
        { metadata: { namespace }, data: { hidden: secret(plain), open: "visible" } },
        opts,
      );
      return { data: first.data };
    });
    const up = await stack.run("up");
    expect(up.outputs.data).toEqual({ value: { plain: Buffer.from(plain).toString("base64") }, secret: true });
    const state = stack.stateText();
    expect(state).not.toContain(plain);
    expect(state).not.toContain(Buffer.from(plain).toString("base64"));
    expect(state).toContain("visible");
    expect(state.includes(marked)).toBe(!expected("secretAnnotationsStaySecret", bench.target().plugin));
    expect(up.text).not.toContain(plain);
    expect((await stack.run("preview")).changes).toEqual({ same: 4 });
    await stack.run("refresh");
    expect(stack.stateText()).not.toContain(plain);
    await stack.run("destroy");
  });

  it("previews without the cluster, fails an update, and can forget", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("outage");
    await oneMap(stack).run("up");
    const identity = { clusterIdentifier: "same-cluster" };
    stack.settings = identity;
    await oneMap(stack).run("up");
    const kubeconfig = unreachable(bench.target().kubeconfig);
    stack.settings = { ...identity, kubeconfig };
    const preview = await oneMap(stack).run("preview");
    expect(preview.changes).toMatchObject({ same: 2, update: 1 });
    stack.program(({ namespace, opts }) => {
      new k8s.core.v1.ConfigMap("new", { metadata: { namespace } }, opts);
      return {};
    });
    const failure = await stack.fails("up");
    expect(failure.text).toContain("configured Kubernetes cluster is unreachable");
    const refusal = await oneMap(stack).fails("destroy");
    expect(refusal.text).toContain("PULUMI_K8S_DELETE_UNREACHABLE");
    expect(await stack.resource("map")).toBeDefined();
    stack.environment({ PULUMI_K8S_DELETE_UNREACHABLE: "true" });
    expect((await stack.run("destroy")).changes).toMatchObject({ delete: 3 });
  });

  it("goes on with a stored stack after the plugin was restarted", { timeout: 5 * minute }, async () => {
    const stack = oneMap(await bench.stack("restart"));
    await stack.run("up");
    const before = await stack.resource("map");
    expect((await stack.run("refresh")).changes).toEqual({ same: 3 });
    expect((await stack.run("up")).changes).toEqual({ same: 3 });
    const after = await stack.resource("map");
    expect(after?.id).toBe(before?.id);
    expect(after?.outputs.__fieldManager).toBe(before?.outputs.__fieldManager);
    await stack.run("destroy");
  });

  it("waits for a custom kind whose definition is made in the same update", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("custom");
    const group = `t${process.pid}.conformance.orrery.dev`;
    stack.program(({ namespace, opts }) => {
      const spec = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
      const schema = { openAPIV3Schema: { type: "object", properties: { spec } } };
      const names = { kind: "Probe", plural: "probes", singular: "probe" };
      const versions = [{ name: "v1", served: true, storage: true, schema }];
      new k8s.apiextensions.v1.CustomResourceDefinition(
        "definition",
        { metadata: { name: `probes.${group}` }, spec: { group, scope: "Namespaced", names, versions } },
        opts,
      );
      const custom = {
        apiVersion: `${group}/v1`,
        kind: "Probe",
        metadata: { namespace },
        spec: { depth: 1.5, count: 3 },
      };
      new k8s.apiextensions.CustomResource("probe", custom, opts);
      return {};
    });
    await stack.run("up");
    expect((await stack.run("refresh")).changes).toEqual({ same: 4 });
    expect((await stack.run("preview")).changes).toEqual({ same: 4 });
    await stack.run("destroy");
  });
});
