import { access, chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createCluster, deleteCluster, type KindContext, kindState, loadImages } from "../../../kind/cluster.ts";
import { kindModule } from "../../../kind/connection.ts";
import { dockerInfo, explainDocker } from "../../../kind/docker.ts";
import { prepareNodeImage } from "../../../kind/node-image.ts";
import { kindOptionsOf } from "../../../kind/options.ts";
import { OrreryHome } from "../../../local/toolchain/home.ts";
import { silentProgress } from "../../../local/toolchain/progress.ts";

// Recorded from kind 0.30.0 and Docker Engine 20.10.24; see kind/README.md.
const fixtures = join(import.meta.dirname, "../../fixtures/kind");
const options = kindOptionsOf({ images: {}, options: { cluster: "x" } });
const image = { reference: "kindest/node:v0", isBuilt: false };
let folder = "";
let context: KindContext;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "orrery-kind-"));
  await mkdir(join(folder, "bin"));
  const home = new OrreryHome({ root: join(folder, "home") });
  context = { home, kind: join(folder, "bin/kind"), progress: silentProgress };
  vi.stubEnv("PATH", `${join(folder, "bin")}:/usr/bin:/bin`);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

/** A program that answers what was recorded, by the start of its arguments, and writes every call down. */
async function fake(
  program: string,
  answers: Readonly<Record<string, { fixture?: string; text?: string; code?: number }>>,
) {
  const cases = Object.entries(answers).map(([start, { fixture, text = "", code = 0 }]) => {
    const out = fixture === undefined ? `printf '%s' '${text}'` : `cat '${fixtures}/${fixture}.stdout'`;
    const err = fixture === undefined ? ":" : `cat '${fixtures}/${fixture}.stderr' >&2`;
    return `  "${start}"*) ${out}; ${err}; exit ${code} ;;`;
  });
  const log = join(folder, `${program}.log`);
  const lines = [
    "#!/bin/sh",
    `echo "$*" >> '${log}'`,
    'case "$*" in',
    ...cases,
    "esac",
    "echo unexpected: $* >&2; exit 99",
  ];
  const path = join(folder, "bin", program);
  await writeFile(path, lines.join("\n"));
  await chmod(path, 0o755);
}

const calls = async (program: string) =>
  (await readFile(join(folder, `${program}.log`), "utf8"))
    .trim()
    .split("\n")
    .map((line) => line.replaceAll(folder, ""));

test("what Docker says of itself", async () => {
  await fake("docker", { info: { fixture: "docker-info" } });
  expect(await dockerInfo()).toMatchObject({ version: "20.10.24+dfsg1", cpus: 2 });
});

test("no docker, no engine and no right to use it are three errors", async () => {
  vi.stubEnv("PATH", join(folder, "bin"));
  await expect(dockerInfo()).rejects.toThrow(/there is no docker on PATH[\s\S]*Install Docker Engine/);
  vi.stubEnv("PATH", `${join(folder, "bin")}:/usr/bin:/bin`);
  await fake("docker", { info: { fixture: "docker-down" } });
  await expect(dockerInfo()).rejects.toThrow(/does not answer: Cannot connect to the Docker daemon[\s\S]*Start Docker/);
  await fake("docker", { info: { text: "permission denied while trying to connect to the Docker daemon", code: 1 } });
  await expect(dockerInfo()).rejects.toThrow(/refuses this user[\s\S]*group docker/);
});

test("a cluster is absent, running, or in a bad state that is told", async () => {
  await fake("docker", { ps: { text: "" } });
  expect(await kindState("x")).toEqual({ state: "absent" });
  await fake("docker", { ps: { text: "x-control-plane running\nx-worker running\n" } });
  expect(await kindState("x")).toEqual({ state: "running", nodes: ["x-control-plane", "x-worker"] });
  await fake("docker", { ps: { text: "x-control-plane exited\nx-worker running\n" } });
  expect(await kindState("x")).toEqual({ state: "broken", detail: "x-control-plane is exited, x-worker is running" });
});

test.each([
  ["create-pull-failed", /failed to pull image "kindest\/node:v0": Error response[\s\S]*node-image=built/],
  ["create-port-taken", /a port is taken[\s\S]*127\.0\.0\.1:8088[\s\S]*http-port/],
])("after %s nothing is left and one error says why", async (fixture, message) => {
  await fake("kind", { "create cluster": { fixture, code: 1 }, "delete cluster": { fixture: "delete-none" } });
  const failure = await createCluster(context, options, image).catch((error: Error) => error);
  expect(failure).toMatchObject({ name: "EnvironmentError", message: expect.stringMatching(message) });
  expect((failure as Error).message).not.toContain("docker run");
  expect(await calls("kind")).toEqual([
    expect.stringMatching(
      /^create cluster --config \/home\/kind\/x\/config.json --kubeconfig \/home\/kind\/x\/kubeconfig/,
    ),
    "delete cluster --name x --kubeconfig /home/kind/x/kubeconfig",
  ]);
  await expect(access(join(folder, "home/kind/x"))).rejects.toThrow("ENOENT");
});

test("a machine too busy for kind's own limit is told as such", async () => {
  const said =
    'ERROR: failed to create cluster: could not find a log line that matches "Reached target .*Multi-User System.*"';
  await fake("kind", { "create cluster": { text: said, code: 1 }, "delete cluster": { fixture: "delete-none" } });
  await expect(createCluster(context, options, image)).rejects.toThrow(/did not start in time[\s\S]*less busy/);
});

test("a full disk is told as such", () => {
  const error = explainDocker("Docker cannot load a.tar", "write /var: no space left on device");
  expect(error.message).toMatch(/the disk of Docker is full[\s\S]*docker system prune/);
});

test("images go only where some node lacks them, and a failed load names the archive", async () => {
  const images = [
    { reference: "orrery.dev/kv:1", archive: "/images/kv-1.tar" },
    { reference: "orrery.dev/driver:2", archive: "/images/driver-2.tar" },
  ];
  await fake("docker", { "exec --privileged x-control-plane ctr": { text: "orrery.dev/kv:1\n" } });
  await fake("kind", { "load image-archive": { text: "" } });
  await loadImages(context, "x", ["x-control-plane"], images);
  expect(await calls("kind")).toEqual(["load image-archive /images/driver-2.tar --name x"]);
  await fake("kind", { "load image-archive": { fixture: "load-no-cluster", code: 1 } });
  await expect(loadImages(context, "x", ["x-control-plane"], images)).rejects.toThrow(
    /orrery\.dev\/driver:2 \(\/images\/driver-2\.tar\) could not be loaded[\s\S]*no nodes found/,
  );
});

test("the official node image comes first, as it is or pulled; a named one is never replaced", async () => {
  await fake("docker", { "image inspect": { text: "sha256:1" } });
  expect(await prepareNodeImage(context, "auto")).toMatchObject({
    reference: expect.stringMatching(/^kindest\/node:v1\.34\.\d+@sha256:[0-9a-f]{64}$/),
    isBuilt: false,
  });
  await fake("docker", { "image inspect": { code: 1 }, pull: { text: "sha256:1" } });
  expect(await prepareNodeImage(context, "auto")).toMatchObject({ isBuilt: false });
  await fake("docker", { "image inspect": { code: 1 }, pull: { text: "network is unreachable", code: 1 } });
  await expect(prepareNodeImage(context, "mine:1")).rejects.toThrow(/mine:1 cannot be pulled: network is unreachable/);
});

test("deleting leaves no kubeconfig", async () => {
  await mkdir(join(folder, "home/kind/x"), { recursive: true });
  await fake("kind", { "delete cluster": { fixture: "delete-none" } });
  await deleteCluster(context, "x");
  await expect(access(join(folder, "home/kind/x"))).rejects.toThrow("ENOENT");
});

test("images are not built for a cluster that is not there", async () => {
  await fake("docker", { info: { fixture: "docker-info" }, ps: { text: "" } });
  const settings = { images: {}, options: { cluster: "x" } };
  const preparing = { progress: silentProgress, signal: new AbortController().signal };
  await expect(kindModule.load(settings, ["kv"], preparing)).rejects.toThrow(
    /The kind cluster x is not there[\s\S]*orrery up <experiment> --target kind/,
  );
  expect((await calls("docker")).filter((call) => !/^(info|ps) /.test(call))).toEqual([]);
});
