import * as k8s from "@pulumi/kubernetes";
import { expect, it } from "vitest";
import { conformance } from "./harness.ts";

const minute = 60_000;

conformance("objects: create, name, update, replace, import", (bench) => {
  it("creates what the preview announced, and is clean afterwards", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("create");
    stack.program(({ namespace, opts }) => {
      const map = new k8s.core.v1.ConfigMap("settings", { metadata: { namespace }, data: { a: "1" } }, opts);
      new k8s.core.v1.ServiceAccount("account", { metadata: { namespace } }, opts);
      return { name: map.metadata.name };
    });
    const preview = await stack.run("preview");
    expect(preview.changes).toEqual({ create: 4 });
    const up = await stack.run("up");
    expect(up.changes).toEqual({ create: 4 });
    expect((await stack.run("preview")).changes).toEqual({ same: 4 });
    const stored = await stack.resource("settings");
    expect(stored?.id).toBe(`${stack.namespace}/${up.outputs.name?.value}`);
    expect(stored?.outputs).toMatchObject({
      __initialApiVersion: "v1",
      __fieldManager: expect.stringMatching(/^pulumi-kubernetes-[0-9a-f]{8}$/),
      __inputs: { data: { a: "1" } },
      data: { a: "1" },
    });
    expect((await stack.run("destroy")).changes).toEqual({ delete: 4 });
  });

  it("names unnamed objects after their resource and says so in an annotation", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("autoname");
    stack.program(({ namespace, opts }) => ({
      metadata: new k8s.core.v1.ConfigMap("auto", { metadata: { namespace }, data: {} }, opts).metadata,
    }));
    const { outputs } = await stack.run("up");
    const metadata = outputs.metadata?.value as { name: string; annotations: Record<string, string> };
    expect(metadata.name).toMatch(/^auto-[0-9a-f]{8}$/);
    expect(metadata.annotations["pulumi.com/autonamed"]).toBe("true");
    expect((await stack.run("preview")).changes).toEqual({ same: 3 });
    await stack.run("destroy");
  });

  it("updates in place and removes what the program no longer says", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("update");
    const program = (labels: Record<string, string>, port: number) =>
      stack.program(({ namespace, opts }) => {
        const spec = { clusterIP: "None", selector: { app: "none" }, ports: [{ port, name: "main" }] };
        new k8s.core.v1.Service("service", { metadata: { namespace, name: "service", labels }, spec }, opts);
        return {};
      });
    await program({ first: "1", second: "2" }, 80).run("up");
    const changed = await program({ first: "one" }, 81).run("up");
    expect(changed.changes).toEqual({ same: 2, update: 1 });
    const live = await bench.target().core.readNamespacedService({ name: "service", namespace: stack.namespace });
    expect(live.metadata?.labels).toEqual({ first: "one" });
    expect(live.spec?.ports?.map((each) => each.port)).toEqual([81]);
    expect((await stack.run("preview")).changes).toEqual({ same: 3 });
    await stack.run("destroy");
  });

  it("replaces an autonamed ConfigMap by creating the new one first", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("replace");
    const program = (value: string) =>
      stack.program(({ namespace, opts }) => ({
        name: new k8s.core.v1.ConfigMap("map", { metadata: { namespace }, data: { value } }, opts).metadata.name,
      }));
    const first = await program("1").run("up");
    const second = await program("2").run("up");
    expect(second.outputs.name?.value).not.toBe(first.outputs.name?.value);
    const order = second.steps.filter((step) => step.name === "map").map((step) => step.op);
    expect(order.indexOf("create-replacement")).toBeGreaterThanOrEqual(0);
    expect(order.indexOf("create-replacement")).toBeLessThan(order.indexOf("delete-replaced"));
    await stack.run("destroy");
  });

  it("deletes a named ConfigMap before it makes its replacement", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("replace-named");
    const program = (value: string) =>
      stack.program(({ namespace, opts }) => {
        new k8s.core.v1.ConfigMap("map", { metadata: { namespace, name: "fixed" }, data: { value } }, opts);
        return {};
      });
    await program("1").run("up");
    const second = await program("2").run("up");
    const order = second.steps.filter((step) => step.name === "map").map((step) => step.op);
    expect(order.indexOf("delete-replaced")).toBeGreaterThanOrEqual(0);
    expect(order.indexOf("delete-replaced")).toBeLessThan(order.indexOf("create-replacement"));
    const live = await bench.target().core.readNamespacedConfigMap({ name: "fixed", namespace: stack.namespace });
    expect(live.data).toEqual({ value: "2" });
    await stack.run("destroy");
  });

  it("changes a ConfigMap in place with enableConfigMapMutable", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("mutable");
    stack.settings = { enableConfigMapMutable: true };
    const program = (value: string) =>
      stack.program(({ namespace, opts }) => {
        new k8s.core.v1.ConfigMap("map", { metadata: { namespace }, data: { value } }, opts);
        return {};
      });
    await program("1").run("up");
    expect((await program("2").run("up")).changes).toEqual({ same: 2, update: 1 });
    await stack.run("destroy");
  });

  it("leaves fields alone that ignoreChanges names", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("ignore");
    const program = (value: string, label: string) =>
      stack.program(({ namespace, opts }) => {
        const args = { metadata: { namespace, name: "kept", labels: { label } }, data: { value } };
        new k8s.core.v1.ConfigMap("map", args, { ...opts, ignoreChanges: ["data"] });
        return {};
      });
    await program("1", "a").run("up");
    const second = await program("2", "b").run("up");
    expect(second.changes).toEqual({ same: 2, update: 1 });
    const live = await bench.target().core.readNamespacedConfigMap({ name: "kept", namespace: stack.namespace });
    expect(live.data).toEqual({ value: "1" });
    expect(live.metadata?.labels).toEqual({ label: "b" });
    await stack.run("destroy");
  });

  it("imports an existing object and gets another one", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("import");
    const { namespace } = stack;
    for (const name of ["imported", "foreign"]) {
      await bench.target().core.createNamespacedConfigMap({ namespace, body: { metadata: { name }, data: { name } } });
    }
    stack.program(({ opts }) => {
      const metadata = { namespace, name: "imported" };
      const args = { apiVersion: "v1", kind: "ConfigMap", metadata, data: { name: "imported" } } as const;
      new k8s.core.v1.ConfigMap("map", args, { ...opts, import: `${namespace}/imported` });
      return { data: k8s.core.v1.ConfigMap.get("other", `${namespace}/foreign`, opts).data };
    });
    const up = await stack.run("up");
    expect(up.changes).toMatchObject({ import: 1 });
    expect(up.outputs.data?.value).toEqual({ name: "foreign" });
    expect((await stack.run("preview")).changes).not.toHaveProperty("update");
    await stack.run("destroy");
    const left = await bench.target().core.listNamespacedConfigMap({ namespace });
    expect(left.items.map((each) => each.metadata?.name).filter((name) => name !== "kube-root-ca.crt")).toEqual([
      "foreign",
    ]);
  });

  it("refuses a name that is taken, and says how to go on", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("exists");
    const { namespace } = stack;
    await bench.target().core.createNamespacedConfigMap({ namespace, body: { metadata: { name: "taken" } } });
    stack.program(({ opts }) => {
      new k8s.core.v1.ConfigMap("map", { metadata: { namespace, name: "taken" } }, opts);
      return {};
    });
    const failure = await stack.fails("up");
    expect(failure.text).toContain("already exists");
    expect(failure.text).toContain("import");
    await stack.run("destroy");
  });

  it("deletes in the foreground and leaves nothing", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("foreground");
    const { image } = bench.target();
    stack.program(({ namespace, opts }) => {
      const labels = { app: "leftovers" };
      const containers = [
        { name: "main", image, command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"] },
      ];
      const spec = {
        replicas: 2,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers } },
      };
      new k8s.apps.v1.Deployment("app", { metadata: { namespace }, spec }, opts);
      return {};
    });
    await stack.run("up");
    await stack.run("destroy");
    const pods = await bench.target().core.listNamespacedPod({ namespace: stack.namespace });
    expect(pods.items).toEqual([]);
  });
});
