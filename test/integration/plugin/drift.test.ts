import * as k8s from "@pulumi/kubernetes";
import { expect, it } from "vitest";
import { conformance, type TestStack } from "./harness.ts";

const minute = 60_000;

function service(stack: TestStack): TestStack {
  return stack.program(({ namespace, opts }) => {
    const metadata = { namespace, name: "drifting", labels: { role: "main" } };
    const spec = { clusterIP: "None", selector: { app: "none" }, ports: [{ port: 80, name: "main" }] };
    new k8s.core.v1.Service("service", { metadata, spec }, opts);
    return {};
  });
}

conformance("drift: refresh, repair, recreate", (bench) => {
  it("shows drift on refresh and mends it on the next up", { timeout: 5 * minute }, async () => {
    const stack = service(await bench.stack("drift"));
    const { core } = bench.target();
    const where = { name: "drifting", namespace: stack.namespace };
    await stack.run("up");
    const live = await core.readNamespacedService(where);
    delete live.metadata?.labels?.role;
    await core.replaceNamespacedService({ ...where, body: live });
    expect((await stack.run("preview")).changes).toEqual({ same: 3 });
    expect((await stack.run("refresh")).changes).toMatchObject({ update: 1 });
    expect((await stack.run("preview")).changes).toEqual({ same: 2, update: 1 });
    expect((await stack.run("up")).changes).toEqual({ same: 2, update: 1 });
    expect((await core.readNamespacedService(where)).metadata?.labels).toEqual({ role: "main" });
    await stack.run("destroy");
  });

  it("makes an object again that was deleted behind its back", { timeout: 5 * minute }, async () => {
    const stack = service(await bench.stack("gone"));
    await stack.run("up");
    await bench.target().core.deleteNamespacedService({ name: "drifting", namespace: stack.namespace });
    expect((await stack.run("refresh")).changes).toMatchObject({ delete: 1 });
    expect((await stack.run("up")).changes).toMatchObject({ create: 1 });
    await bench.target().core.readNamespacedService({ name: "drifting", namespace: stack.namespace });
    await stack.run("destroy");
  });

  it("deletes without complaint what is gone already", { timeout: 5 * minute }, async () => {
    const stack = service(await bench.stack("gone-twice"));
    await stack.run("up");
    await bench.target().core.deleteNamespacedService({ name: "drifting", namespace: stack.namespace });
    expect((await stack.run("destroy")).changes).toEqual({ delete: 3 });
  });
});
