import { PatchStrategy } from "@kubernetes/client-node";
import * as k8s from "@pulumi/kubernetes";
import { expect, it } from "vitest";
import type { ConformanceTarget } from "./cluster.ts";
import { conformance, type TestStack } from "./harness.ts";

const minute = 60_000;

/** Takes a field over under another manager's name, as kubectl or a controller would. */
async function takeOver(
  target: ConformanceTarget,
  namespace: string,
  name: string,
  labels: Record<string, string>,
): Promise<void> {
  const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace, labels } };
  await target.objects.patch(object, undefined, undefined, "somebody-else", true, PatchStrategy.ServerSideApply);
}

function labelled(stack: TestStack, team: string, annotations: Record<string, string> = {}): TestStack {
  return stack.program(({ namespace, opts }) => {
    const metadata = { namespace, name: "shared", labels: { team }, annotations };
    new k8s.core.v1.ConfigMap("map", { metadata, data: { a: "1" } }, opts);
    return {};
  });
}

conformance("ownership: server-side apply, patches", (bench) => {
  it("reports a conflict with another manager, and takes over when told to", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("conflict");
    const target = bench.target();
    await labelled(stack, "red").run("up");
    await takeOver(target, stack.namespace, "shared", { team: "green" });
    const failure = await labelled(stack, "blue").fails("up");
    expect(failure.text).toContain("server-side apply field conflict detected");
    expect(failure.text).toContain("somebody-else");
    const where = { name: "shared", namespace: stack.namespace };
    expect((await target.core.readNamespacedConfigMap(where)).metadata?.labels?.team).toBe("green");
    await labelled(stack, "blue", { "pulumi.com/patchForce": "true" }).run("up");
    expect((await target.core.readNamespacedConfigMap(where)).metadata?.labels?.team).toBe("blue");
    await stack.run("destroy");
  });

  it("leaves other managers' fields alone", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("coexist");
    const target = bench.target();
    await labelled(stack, "red").run("up");
    await takeOver(target, stack.namespace, "shared", { theirs: "yes" });
    await labelled(stack, "blue").run("up");
    const live = await target.core.readNamespacedConfigMap({ name: "shared", namespace: stack.namespace });
    expect(live.metadata?.labels).toEqual({ team: "blue", theirs: "yes" });
    await stack.run("destroy");
  });

  it("patches a foreign object and gives the field back", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("patch");
    const target = bench.target();
    const where = { name: "foreign", namespace: stack.namespace };
    await target.core.createNamespacedConfigMap({
      namespace: stack.namespace,
      body: { metadata: { name: "foreign" }, data: { theirs: "1" } },
    });
    stack.program(({ namespace, opts }) => {
      new k8s.core.v1.ConfigMapPatch("patch", { metadata: { namespace, name: "foreign" }, data: { ours: "2" } }, opts);
      return {};
    });
    await stack.run("up");
    expect((await target.core.readNamespacedConfigMap(where)).data).toEqual({ theirs: "1", ours: "2" });
    expect((await stack.run("preview")).changes).toEqual({ same: 3 });
    await stack.run("destroy");
    expect((await target.core.readNamespacedConfigMap(where)).data).toEqual({ theirs: "1" });
  });

  it("works without server-side apply, with a managed-by label and generateName", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("client-side");
    const { core } = bench.target();
    stack.settings = { enableServerSideApply: false };
    const program = (labels: Record<string, string>, port: number) =>
      stack.program(({ namespace, opts }) => {
        const spec = { clusterIP: "None", selector: { app: "none" }, ports: [{ port, name: "main" }] };
        new k8s.core.v1.Service("service", { metadata: { namespace, name: "plain", labels }, spec }, opts);
        const map = new k8s.core.v1.ConfigMap("map", { metadata: { namespace, generateName: "made-" } }, opts);
        return { made: map.metadata.name };
      });
    const first = await program({ one: "1", two: "2" }, 80).run("up");
    expect(first.outputs.made?.value).toMatch(/^made-/);
    expect((await stack.run("preview")).changes).toEqual({ same: 4 });
    expect((await program({ one: "one" }, 81).run("up")).changes).toEqual({ same: 3, update: 1 });
    const live = await core.readNamespacedService({ name: "plain", namespace: stack.namespace });
    expect(live.metadata?.labels).toEqual({ one: "one", "app.kubernetes.io/managed-by": "pulumi" });
    expect(live.spec?.ports?.map((each) => each.port)).toEqual([81]);
    expect((await stack.resource("service"))?.outputs.__fieldManager).toBe("pulumi-kubernetes");
    await stack.run("destroy");
    const left = await core.listNamespacedConfigMap({ namespace: stack.namespace });
    expect(left.items.filter((each) => each.metadata?.name?.startsWith("made-"))).toEqual([]);
  });
});
