import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eksModule } from "../../../eks/connection.ts";
import { silentProgress } from "../../../local/toolchain/progress.ts";
import { EnvironmentError } from "../../../schema/errors.ts";
import { loadExperiment } from "../../../schema/load.ts";
import type { TargetSettings } from "../../../targets/module.ts";
import { type Answer, fakeTool } from "../../support/fake-tool.ts";

/** The contract with the AWS command line, on answers written from its documentation. */
const answers = JSON.parse(await readFile("test/fixtures/aws/answers.json", "utf8")) as Record<string, Answer>;
const { experiment } = await loadExperiment("examples/kv.yaml");
const images = { kv: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/orrery/kv@sha256:0", driver: "x@sha256:1" };
const settings: TargetSettings = { context: "eks-orrery", images, options: { region: "eu-west-1" } };
const preparing = { progress: silentProgress, signal: new AbortController().signal };
const deployment = { experiment, images: ["kv", "driver"], hasPages: false };

let folder: string;
const path = process.env.PATH;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "orrery-aws-"));
  process.env.PATH = `${folder}${delimiter}/usr/bin${delimiter}/bin`;
});
afterEach(async () => {
  Object.assign(process.env, { PATH: path });
  await rm(folder, { recursive: true, force: true });
});

async function fakeAws(identity: string, cluster: string, vcpus = "quota-enough"): Promise<() => Promise<string[]>> {
  const script = (pattern: string, name: string) => {
    const answer = answers[name];
    if (answer === undefined) throw new Error(`no fixture ${name}`);
    return { pattern, answers: [answer] };
  };
  return await fakeTool(folder, "aws", [
    script("sts *", identity),
    script("eks describe-cluster *", cluster),
    script("service-quotas * L-1216C47A *", vcpus),
    script("service-quotas *", "quota-enough"),
  ]);
}

describe("one clear error before anything", () => {
  test.each<[string, string, string, RegExp]>([
    ["expired credentials", "identity-expired", "cluster-active", /AWS credentials have expired.*aws sso login/s],
    ["an expired login", "identity-sso-expired", "cluster-active", /AWS credentials have expired/],
    ["no credentials", "identity-none", "cluster-active", /There are no AWS credentials.*AWS_PROFILE/s],
    [
      "refused credentials",
      "identity-invalid",
      "cluster-active",
      /AWS refuses the credentials: .*InvalidClientTokenId/,
    ],
    ["no cluster", "identity", "cluster-none", /no EKS cluster orrery in eu-west-1.*pulumi -C eks preview/s],
    ["a cluster that is not ready", "identity", "cluster-creating", /is CREATING.*ACTIVE/s],
  ])("%s", async (_, identity, cluster, message) => {
    const calls = await fakeAws(identity, cluster);
    const attempt = eksModule.prepare(settings, deployment, preparing);
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toBeInstanceOf(EnvironmentError);
    expect((await calls()).filter((call) => call.includes("update-kubeconfig"))).toEqual([]);
  });

  test("images of this machine", async () => {
    const calls = await fakeAws("identity", "cluster-active");
    const attempt = eksModule.prepare({ ...settings, images: {} }, deployment, preparing);
    await expect(attempt).rejects.toThrow(/images of this machine: kv, driver.*--image kv=<reference>/s);
    const pulled = { experiment, images: ["goquorum", "tessera", "driver"], hasPages: false };
    const named = eksModule.prepare({ ...settings, images: {} }, pulled, preparing);
    await expect(named).rejects.toThrow(/images of this machine: driver\.$/m);
    expect(await calls()).toEqual([]);
  });

  test("images that would have to be loaded", async () => {
    const calls = await fakeAws("identity", "cluster-active");
    await expect(eksModule.load(settings, ["kv"], preparing)).rejects.toThrow(
      /EKS pulls its images.*orrery images push <registry> kv\).*--image kv=<reference>/s,
    );
    expect(await calls()).toEqual([]);
  });

  test("options that are missing or unknown", () => {
    const region = process.env.AWS_REGION;
    delete process.env.AWS_REGION;
    const problems = eksModule.problems({ images: {}, options: { zone: "a", arch: "mips" } });
    if (region !== undefined) process.env.AWS_REGION = region;
    expect(problems.map(({ rule }) => rule)).toEqual([
      "eks has no option zone.",
      "eks needs a region.",
      "arch=mips is no architecture.",
    ]);
  });
});

test("a cluster is found only when it is ACTIVE", async () => {
  await fakeAws("identity", "cluster-active");
  expect(await eksModule.find(settings)).toMatchObject({ name: "eks", context: "eks-orrery" });
  await fakeAws("identity", "cluster-creating");
  expect(await eksModule.find(settings)).toBeUndefined();
});

describe("before a cluster is made, doctor looks at the quotas of the account", () => {
  const quotas = async () => (await eksModule.preflight(settings)).filter(({ name }) => name.startsWith("quota"));

  test("one that is too small fails, with the command that raises it", async () => {
    await fakeAws("identity", "cluster-none", "quota-small");
    const checks = await quotas();
    expect(checks.map(({ name, status }) => `${name}: ${status}`)).toEqual([
      "quota of vCPUs: fail",
      "quota of elastic IPs: ok",
      "quota of VPCs: ok",
    ]);
    expect(checks[0]).toMatchObject({
      found: "5 in eu-west-1",
      fix: expect.stringContaining("--quota-code L-1216C47A"),
    });
  });

  test("one that may not be read only warns", async () => {
    await fakeAws("identity", "cluster-none", "quota-denied");
    expect(await quotas()).toMatchObject([{ status: "warn" }, { status: "ok" }, { status: "ok" }]);
  });

  test("of a cluster that is there they are not asked", async () => {
    const calls = await fakeAws("identity", "cluster-active", "quota-small");
    expect(await quotas()).toEqual([]);
    expect((await calls()).filter((call) => call.startsWith("service-quotas"))).toEqual([]);
  });
});
