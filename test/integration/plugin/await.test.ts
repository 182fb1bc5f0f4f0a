import * as k8s from "@pulumi/kubernetes";
import type { CustomResourceOptions } from "@pulumi/pulumi";
import { expect, it } from "vitest";
import type { ConformanceTarget } from "./cluster.ts";
import { expected } from "./differences.ts";
import { conformance, type TestStack } from "./harness.ts";

const minute = 60_000;
const forever = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"];

interface Workload {
  readonly image?: string;
  readonly command?: readonly string[];
  readonly neverReady?: boolean;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly timeout?: string;
  readonly replicas?: number;
}

function podSpec(target: ConformanceTarget, workload: Workload): k8s.types.input.core.v1.PodSpec {
  const probe =
    workload.neverReady === true ? { readinessProbe: { exec: { command: ["false"] }, periodSeconds: 1 } } : {};
  const command = [...(workload.command ?? forever)];
  return { containers: [{ name: "main", image: workload.image ?? target.image, command, ...probe }] };
}

function deployment(stack: TestStack, target: ConformanceTarget, workload: Workload): TestStack {
  return stack.program(({ namespace, opts }) => {
    const labels = { app: "awaited" };
    const options: CustomResourceOptions = {
      ...opts,
      ...(workload.timeout === undefined
        ? {}
        : { customTimeouts: { create: workload.timeout, update: workload.timeout } }),
    };
    const metadata = { namespace, name: "awaited", annotations: { ...workload.annotations } };
    const template = { metadata: { labels }, spec: podSpec(target, workload) };
    const spec = { replicas: workload.replicas ?? 1, selector: { matchLabels: labels }, template };
    new k8s.apps.v1.Deployment("app", { metadata, spec }, options);
    return {};
  });
}

conformance("await: readiness, failures, annotations", (bench) => {
  it("waits until a StatefulSet, its Services and a Job are ready", { timeout: 3 * minute }, async () => {
    const stack = await bench.stack("ready");
    const target = bench.target();
    stack.program(({ namespace, opts }) => {
      const labels = { app: "set" };
      const ports = [{ port: 80 }];
      const headless = { clusterIP: "None", selector: labels, publishNotReadyAddresses: true, ports };
      new k8s.core.v1.Service("headless", { metadata: { namespace, name: "set" }, spec: headless }, opts);
      new k8s.core.v1.Service(
        "service",
        { metadata: { namespace, name: "front" }, spec: { selector: labels, ports } },
        opts,
      );
      const template = { metadata: { labels }, spec: podSpec(target, {}) };
      const selector = { matchLabels: labels };
      const spec = { serviceName: "set", replicas: 3, podManagementPolicy: "Parallel", selector, template };
      const set = new k8s.apps.v1.StatefulSet("set", { metadata: { namespace, name: "set" }, spec }, opts);
      const once = { ...podSpec(target, { command: ["sh", "-c", "exit 0"] }), restartPolicy: "Never" };
      const job = new k8s.batch.v1.Job("job", { metadata: { namespace }, spec: { template: { spec: once } } }, opts);
      return { ready: set.status.readyReplicas, succeeded: job.status.succeeded };
    });
    const up = await stack.run("up");
    expect(up.outputs.ready?.value).toBe(3);
    expect(up.outputs.succeeded?.value).toBe(1);
    expect((await stack.run("refresh")).changes).toEqual({ same: 6 });
    expect((await stack.run("preview")).changes).toEqual({ same: 6 });
    await stack.run("destroy");
  });

  it("takes a serving Service for ready", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("serving");
    const target = bench.target();
    stack.program(({ namespace, opts }) => {
      const labels = { app: "serving" };
      const pod = new k8s.core.v1.Pod("pod", { metadata: { namespace, labels }, spec: podSpec(target, {}) }, opts);
      const args = { metadata: { namespace }, spec: { selector: labels, ports: [{ port: 80 }] } };
      new k8s.core.v1.Service("service", args, { ...opts, dependsOn: pod });
      return {};
    });
    expect((await stack.run("up")).changes).toEqual({ create: 4 });
    await stack.run("destroy");
  });

  it("ends a wait for an impossible image, keeps the object, and goes on once mended", {
    timeout: 8 * minute,
  }, async () => {
    const stack = await bench.stack("image");
    const target = bench.target();
    const image = "registry.invalid/missing:1";
    // Without a timeout of its own the wait lasts ten minutes, which is longer than the test.
    const timeout = expected("hopelessImageEndsWait", target.plugin) ? {} : { timeout: "30s" };
    const failure = await deployment(stack, target, { image, ...timeout }).fails("up");
    expect(failure.text).toContain("failed to fully initialize or become live");
    if (expected("failedWaitShowsEvents", target.plugin)) {
      expect(failure.text).toContain(image);
      expect(failure.text).toMatch(/\[Pod [^\]]+\] Failed: .*pull/);
    }
    const stored = await stack.resource("app");
    expect(stored?.id).toBe(`${stack.namespace}/awaited`);
    expect(stored?.initErrors?.length).toBeGreaterThan(0);
    const mended = await deployment(stack, target, {}).run("up");
    expect(mended.changes).toMatchObject({ update: 1 });
    expect((await stack.resource("app"))?.initErrors ?? []).toEqual([]);
    expect((await stack.run("preview")).changes).toEqual({ same: 3 });
    await stack.run("destroy");
  });

  it("shows the last log lines of a container that keeps failing", { timeout: 3 * minute }, async ({ skip }) => {
    const target = bench.target();
    if (!target.runsContainers) skip("no kubelet on this cluster: containers do not run, so they write no log");
    const stack = await bench.stack("logs");
    const command = ["sh", "-c", "echo last-words-of-main; exit 1"];
    const failure = await deployment(stack, target, { command, neverReady: true, timeout: "25s" }).fails("up");
    if (expected("failedWaitShowsEvents", target.plugin)) expect(failure.text).toContain("last-words-of-main");
    await stack.run("destroy");
  });

  it("keeps the good resources of an update in which one fails", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("partial");
    const target = bench.target();
    const program = (names: readonly string[], neverReady: boolean) =>
      stack.program(({ namespace, opts }) => {
        for (const name of names) new k8s.core.v1.ConfigMap(name, { metadata: { namespace }, data: { name } }, opts);
        const spec = podSpec(target, { neverReady });
        const timeouts = { customTimeouts: { create: "5s", update: "5s" } };
        if (neverReady) new k8s.core.v1.Pod("pod", { metadata: { namespace }, spec }, { ...opts, ...timeouts });
        return {};
      });
    const failure = await program(["one", "two"], true).fails("up");
    expect(failure.text).toContain("timed out");
    for (const name of ["one", "two", "pod"]) expect(await stack.resource(name)).toBeDefined();
    expect((await program(["one", "two"], false).run("up")).changes).toEqual({ same: 4, delete: 1 });
    await stack.run("destroy");
  });

  it("ends at once when a Job has failed", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("job");
    const target = bench.target();
    stack.program(({ namespace, opts }) => {
      const spec = {
        ...podSpec(target, { command: ["sh", "-c", "echo job-said-no; exit 1"] }),
        restartPolicy: "Never",
      };
      const args = { metadata: { namespace, name: "failing" }, spec: { backoffLimit: 0, template: { spec } } };
      new k8s.batch.v1.Job("job", args, opts);
      return {};
    });
    const failure = await stack.fails("up");
    expect(failure.text).toContain("BackoffLimitExceeded");
    if (target.runsContainers && expected("failedWaitShowsEvents", target.plugin)) {
      expect(failure.text).toContain("job-said-no");
    }
    await stack.run("destroy");
  });

  it("honours timeoutSeconds, and skipAwait", { timeout: 5 * minute }, async () => {
    const target = bench.target();
    const waiting = await bench.stack("timeout");
    const annotations = { "pulumi.com/timeoutSeconds": "4" };
    const failure = await deployment(waiting, target, { neverReady: true, annotations }).fails("up");
    expect(failure.text).toContain("timed out waiting to be Ready");
    await waiting.run("destroy");
    const skipping = await bench.stack("skip");
    const skipAwait = { "pulumi.com/skipAwait": "true" };
    const up = await deployment(skipping, target, { neverReady: true, annotations: skipAwait }).run("up");
    expect(up.changes).toEqual({ create: 3 });
    await skipping.run("destroy");
  });

  it("waits for what pulumi.com/waitFor says", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("waitfor");
    const { core } = bench.target();
    const program = (expression: string) =>
      stack.program(({ namespace, opts }) => {
        const metadata = { namespace, name: "watched", annotations: { "pulumi.com/waitFor": expression } };
        new k8s.core.v1.ConfigMap("map", { metadata, data: { state: "new" } }, { ...opts, ignoreChanges: ["data"] });
        return {};
      });
    const running = program("jsonpath={.data.state}=done").run("up");
    const where = { name: "watched", namespace: stack.namespace };
    await expect
      .poll(() => core.readNamespacedConfigMap(where).catch(() => undefined), { timeout: 30_000 })
      .toBeDefined();
    const live = await core.readNamespacedConfigMap(where);
    await core.replaceNamespacedConfigMap({ ...where, body: { ...live, data: { state: "done" } } });
    expect((await running).changes).toEqual({ create: 3 });
    await stack.run("destroy");
  });

  it("handles an invalid waitFor", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("waitfor-bad");
    const target = bench.target();
    stack.program(({ namespace, opts }) => {
      const metadata = { namespace, name: "never", annotations: { "pulumi.com/waitFor": "soon" } };
      new k8s.core.v1.ConfigMap("map", { metadata }, opts);
      return {};
    });
    const failure = await stack.fails("up");
    expect(failure.text).toContain("waitFor");
    const maps = await target.core.listNamespacedConfigMap({ namespace: stack.namespace });
    const made = maps.items.some((each) => each.metadata?.name === "never");
    expect(made ? "created" : "refused").toBe(expected("invalidWaitFor", target.plugin));
    await stack.run("destroy");
  });

  it("stops waiting when it is cancelled, and keeps what was made", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("cancel");
    const target = bench.target();
    const cancel = new AbortController();
    const failure = await deployment(stack, target, { neverReady: true }).fails("up", {
      signal: cancel.signal,
      onText: (text) => {
        if (text.includes("Pods available")) cancel.abort();
      },
    });
    expect(failure.text).toContain('Resource operation was cancelled for "awaited"');
    expect((await stack.resource("app"))?.id).toBe(`${stack.namespace}/awaited`);
    await stack.run("destroy");
    expect((await target.core.listNamespacedPod({ namespace: stack.namespace })).items).toEqual([]);
  });

  it("ends a StatefulSet update with a partition", { timeout: 3 * minute }, async ({ skip }) => {
    const target = bench.target();
    if (!expected("partitionedUpdateEnds", target.plugin)) skip("the plugin under test waits forever here");
    const stack = await bench.stack("partition");
    const program = (revision: string) =>
      stack.program(({ namespace, opts }) => {
        const labels = { app: "parted" };
        const template = { metadata: { labels, annotations: { revision } }, spec: podSpec(target, {}) };
        const updateStrategy = { type: "RollingUpdate", rollingUpdate: { partition: 1 } };
        const spec = { serviceName: "none", replicas: 2, selector: { matchLabels: labels }, template, updateStrategy };
        new k8s.apps.v1.StatefulSet("set", { metadata: { namespace }, spec }, opts);
        return {};
      });
    await program("1").run("up");
    expect((await program("2").run("up")).changes).toEqual({ same: 2, update: 1 });
    await stack.run("destroy");
  });

  it("keeps a delete that timed out in the state, with its inputs", { timeout: 5 * minute }, async () => {
    const stack = await bench.stack("stuck");
    const target = bench.target();
    stack.program(({ namespace, opts }) => {
      const metadata = { namespace, name: "held", finalizers: ["orrery.dev/held"] };
      new k8s.core.v1.ConfigMap("map", { metadata, data: { a: "1" } }, { ...opts, customTimeouts: { delete: "3s" } });
      return {};
    });
    await stack.run("up");
    const failure = await stack.fails("destroy");
    expect(failure.text).toContain("finalizers");
    const stored = await stack.resource("map");
    expect(stored).toBeDefined();
    const inputs = stored?.outputs.__inputs as Record<string, unknown>;
    expect("status" in inputs || "uid" in (inputs.metadata as object)).toBe(
      !expected("failedDeleteKeepsInputs", target.plugin),
    );
    const where = { name: "held", namespace: stack.namespace };
    const live = await target.core.readNamespacedConfigMap(where);
    await target.core.replaceNamespacedConfigMap({
      ...where,
      body: { ...live, metadata: { ...live.metadata, finalizers: [] } },
    });
    await stack.run("destroy");
  });
});
