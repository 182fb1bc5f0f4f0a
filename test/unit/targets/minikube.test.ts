import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { silentProgress } from "../../../local/toolchain/progress.ts";
import { startArgs } from "../../../minikube/cli.ts";
import { minikubeModule } from "../../../minikube/connection.ts";
import { loadImages } from "../../../minikube/images.ts";
import { readOptions } from "../../../minikube/settings.ts";
import { EnvironmentError } from "../../../schema/errors.ts";
import { loadExperiment } from "../../../schema/load.ts";
import type { TargetSettings } from "../../../targets/module.ts";
import { type Answer, fakeTool, type Script } from "../../support/fake-tool.ts";

/** The contract with minikube's command line. Does not prove that the fixtures are what minikube says; see their source. */
const read = async (tool: string) =>
  JSON.parse(await readFile(`test/fixtures/${tool}/answers.json`, "utf8")) as Record<string, Answer>;
const recorded = { minikube: await read("minikube"), docker: await read("docker") };
const { experiment } = await loadExperiment("examples/kv.yaml");
const named: TargetSettings = { context: "orrery", images: { kv: "a/kv:1", driver: "a/driver:1" }, options: {} };
const deployment = { experiment, images: ["kv", "driver"], hasPages: false };
const preparing = { progress: silentProgress, signal: new AbortController().signal };

const answer = (tool: "minikube" | "docker", name: string): Answer => {
  const found = recorded[tool][name];
  if (found === undefined) throw new Error(`no fixture ${tool}/${name}`);
  return found;
};
const says = (pattern: string, ...names: string[]): Script => ({
  pattern,
  answers: names.map((name) => answer("minikube", name)),
});

let folder: string;
let server: ReturnType<typeof createServer>;
const saved = { PATH: process.env.PATH, KUBECONFIG: process.env.KUBECONFIG };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "orrery-minikube-"));
  server = createServer((_request, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ major: "1", minor: "34", gitVersion: "v1.34.0" }));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const kubeconfig = {
    clusters: [{ name: "orrery", cluster: { server: address, "insecure-skip-tls-verify": true } }],
    users: [{ name: "orrery", user: {} }],
    contexts: [{ name: "orrery", context: { cluster: "orrery", user: "orrery" } }],
  };
  await writeFile(join(folder, "kubeconfig"), JSON.stringify(kubeconfig));
  process.env.PATH = `${folder}${delimiter}/usr/bin${delimiter}/bin`;
  process.env.KUBECONFIG = join(folder, "kubeconfig");
});

afterEach(async () => {
  Object.assign(process.env, { PATH: saved.PATH });
  if (saved.KUBECONFIG === undefined) delete process.env.KUBECONFIG;
  else process.env.KUBECONFIG = saved.KUBECONFIG;
  await new Promise((done) => server.close(done));
  await rm(folder, { recursive: true, force: true });
});

async function fakes(scripts: readonly Script[], docker = "info"): Promise<() => Promise<string[]>> {
  await fakeTool(folder, "docker", [{ pattern: "info *", answers: [answer("docker", docker)] }]);
  return await fakeTool(folder, "minikube", [says("version *", "version"), ...scripts]);
}

async function refusal(settings: TargetSettings = named): Promise<EnvironmentError> {
  const error = await minikubeModule.prepare(settings, deployment, preparing).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(EnvironmentError);
  return error as EnvironmentError;
}

describe("a cluster", () => {
  test("is made where there is none, with kaleido's sizes and our addons", async () => {
    const calls = await fakes([
      says("profile list *", "profiles-none"),
      says("start *", "start"),
      says("addons list *", "addons"),
    ]);
    const ready = await minikubeModule.prepare(named, deployment, preparing);
    expect(ready.connection).toMatchObject({ name: "minikube", context: "orrery" });
    expect(ready.versions).toEqual({ minikube: "v1.37.0", docker: "28.5.1" });
    expect(await calls()).toEqual([
      "version --output=json",
      "profile list --output=json",
      "start --profile=orrery --driver=docker --output=json --cpus=4 --memory=4096mb --disk-size=65536mb --nodes=1 --cni=auto " +
        "--addons=ingress,storage-provisioner,default-storageclass --feature-gates=MaxUnavailableStatefulSet=true " +
        "--keep-context=true --wait=all",
      "addons list --output=json --profile=orrery",
    ]);
  });

  test.each(["profiles-running", "profiles-running-older"])("that runs is taken as it is (%s)", async (profiles) => {
    const calls = await fakes([
      says("profile list *", profiles),
      says("addons list *", "addons-without-ingress"),
      says("addons enable ingress *", "addons-enable"),
    ]);
    await minikubeModule.prepare(named, deployment, preparing);
    expect((await calls()).filter((call) => call.startsWith("start"))).toEqual([]);
    expect(await calls()).toContain("addons enable ingress --profile=orrery");
  });

  test("that is stopped is started, and kept when that fails", async () => {
    const calls = await fakes([says("profile list *", "profiles-stopped"), says("start *", "start-disk-full")]);
    expect(await minikubeModule.find(named)).toBeUndefined();
    expect((await refusal()).message).toMatch(/could not start .*out of disk space.*docker system prune/s);
    expect((await calls()).filter((call) => call.startsWith("delete"))).toEqual([]);
  });

  test("is found only while it runs", async () => {
    await fakes([says("profile list *", "profiles-running")]);
    expect(await minikubeModule.find(named)).toMatchObject({ context: "orrery" });
  });

  test("options reach the command line", () => {
    const options = { nodes: "3", cni: "calico", kubernetes: "v1.33.1", mount: "/here:/there", memory: "8g" };
    const read = readOptions({ images: {}, options });
    expect(read && startArgs(read)).toEqual(
      expect.arrayContaining([
        ...["--nodes=3", "--cni=calico", "--kubernetes-version=v1.33.1", "--memory=8192mb"],
        ...["--mount", "--mount-string=/here:/there"],
      ]),
    );
  });

  test("wrong options are all told at once", () => {
    const problems = minikubeModule.problems({ images: {}, options: { cpus: "many", disc: "1g", memory: "4" } });
    expect(problems.map((problem) => `${problem.path} ${problem.rule}`).sort()).toEqual([
      '--target-option cpus "many" is not a number of CPUs, e.g. 4.',
      '--target-option memory "4" is not an amount of memory, e.g. 4096mb or 4g.',
      "--target-option minikube has no option disc.",
    ]);
  });
});

describe("one clear error, and nothing half-made", () => {
  test("minikube missing", async () => {
    expect((await refusal()).message).toMatch(/minikube is not on PATH.*minikube\.sigs\.k8s\.io/s);
  });

  test("docker missing", async () => {
    await fakeTool(folder, "minikube", [says("version *", "version")]);
    process.env.PATH = folder; // the machine may have a docker of its own
    await writeFile(join(folder, "cat"), '#!/bin/sh\nexec /bin/cat "$@"\n', { mode: 0o755 });
    await writeFile(join(folder, "wc"), '#!/bin/sh\nexec /usr/bin/wc "$@"\n', { mode: 0o755 });
    expect((await refusal()).message).toMatch(/docker is not on PATH/);
  });

  test("docker not running", async () => {
    const calls = await fakes([], "info-not-running");
    expect((await refusal()).message).toMatch(/Docker does not answer: Cannot connect to the Docker daemon/);
    expect(await calls()).toEqual(["version --output=json"]);
  });

  test.each([
    ["profiles-other-driver", /uses the driver kvm2, not docker/],
    ["profiles-damaged", /profile orrery is damaged.*minikube delete -p orrery/s],
  ])("a profile that cannot be used: %s", async (profiles, message) => {
    const calls = await fakes([says("profile list *", profiles)]);
    expect((await refusal()).message).toMatch(message);
    expect((await calls()).filter((call) => /^(start|delete)/.test(call))).toEqual([]);
  });

  test("not enough memory is found before minikube is asked", async () => {
    const calls = await fakes([says("profile list *", "profiles-none")], "info-small");
    expect((await refusal()).message).toMatch(/1 minikube node\(s\) of 4096mb do not fit into the 2048 MB/);
    expect((await calls()).filter((call) => call.startsWith("start"))).toEqual([]);
  });

  test.each([
    ["start-docker-not-running", /deadline exceeded.*systemctl start docker/s],
    ["start-as-root", /root privileges.*group docker/s],
    ["start-disk-full", /out of disk space.*docker system prune/s],
    ["start-memory", /less than the required 4096MiB.*memory=<size>/s],
  ])("what a failed start has made is deleted: %s", async (started, message) => {
    const calls = await fakes([
      says("profile list *", "profiles-none"),
      says("start *", started),
      says("delete *", "delete"),
    ]);
    expect((await refusal()).message).toMatch(message);
    expect((await calls()).at(-1)).toBe("delete --profile=orrery");
  });
});

describe("images", () => {
  const built = [{ name: "kv", reference: "orrery.dev/kv:0123456789ab", archive: "/archives/kv.tar" }] as const;
  const listed = (tags: readonly string[]) => ({
    ...answer("minikube", "images-none"),
    stdout: JSON.stringify([{ id: "sha256:00", repoDigests: [], repoTags: tags, size: "1" }]),
  });

  test("are loaded when they are not there, and looked for afterwards", async () => {
    const list = { pattern: "image ls *", answers: [listed([]), listed([built[0].reference])] };
    const calls = await fakes([list, says("image load *", "image-load")]);
    await loadImages("orrery", built, preparing);
    await loadImages("orrery", built, preparing);
    expect((await calls()).filter((call) => call.startsWith("image load"))).toEqual([
      "image load /archives/kv.tar --profile=orrery",
    ]);
  });

  test.each([
    ["profiles-none", /The minikube cluster orrery is not there.*orrery up <experiment> --target minikube/s],
    ["profiles-stopped", /The minikube cluster orrery does not run/],
  ])("are not built for a cluster that does not run: %s", async (profiles, message) => {
    const calls = await fakes([says("profile list *", profiles)]);
    await expect(minikubeModule.load(named, ["kv"], preparing)).rejects.toThrow(message);
    expect(await calls()).toEqual(["profile list --output=json"]);
  });

  test.each([
    ["image-load-full", /orrery\.dev\/kv:0123456789ab could not be loaded.*no space left on device.*df -h/s],
    ["image-load", /is not in minikube although it was loaded.*minikube image load/s],
  ])("that do not arrive are one error: %s", async (load, message) => {
    await fakes([says("image ls *", "images-none"), says("image load *", load)]);
    await expect(loadImages("orrery", built, preparing)).rejects.toThrow(message);
  });
});
