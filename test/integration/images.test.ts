import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type BuiltImage, buildImages } from "../../images/build.ts";
import { pushImages, verifyImages } from "../../images/registry.ts";
import { OrreryHome } from "../../local/toolchain/home.ts";
import { imageTools, resolveTools, type Tools } from "../../local/toolchain/toolchain.ts";
import { EnvironmentError } from "../../schema/errors.ts";
import { orrery } from "../support/cli.ts";
import { cluster } from "../support/cluster.ts";

/** Images and the distribution's own registry, on loopback. */
describe.skipIf(!cluster.available)("images and a registry", () => {
  let folder: string;
  let home: OrreryHome;
  let tools: Tools;
  let server: ChildProcess;
  let images: BuiltImage[];
  let prefix: string;

  beforeAll(async () => {
    home = OrreryHome.fromEnvironment({ ...process.env, ...cluster.environment() });
    tools = await resolveTools(home, [...imageTools, "docker-registry"]);
    images = await buildImages(home, tools, ["pause", "shell"]);
    folder = await mkdtemp(join(tmpdir(), "orrery-registry-"));
    const port = await freePort();
    prefix = `127.0.0.1:${port}/tests`;
    const config = join(folder, "config.yml");
    const settings = `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${folder}/data}}\n`;
    await writeFile(config, `${settings}http: {addr: "127.0.0.1:${port}"}\n`);
    server = spawn(tools.path("docker-registry"), ["serve", config], { stdio: "ignore" });
    const answers = () => fetch(`http://127.0.0.1:${port}/v2/`).then(({ ok }) => expect(ok).toBe(true));
    await vi.waitFor(answers, { timeout: 60_000, interval: 200 });
  });

  afterAll(async () => {
    if (server?.exitCode === null) {
      const ended = once(server, "exit");
      server.kill();
      await ended;
    }
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  const registry = () => ({ prefix, insecure: true });
  const verify = async (some: readonly BuiltImage[]) =>
    (await verifyImages(home, tools.path("buildah"), some, registry())).map(({ outcome }) => outcome);

  test("what is built twice is the same file, byte for byte", async () => {
    const elsewhere = OrreryHome.fromEnvironment({
      ...process.env,
      ...cluster.environment(),
      ORRERY_HOME: join(folder, "elsewhere"),
    });
    const [again] = await buildImages(elsewhere, tools, ["pause"]);
    const digest = async (image: BuiltImage | undefined) =>
      createHash("sha256")
        .update(await readFile(image?.archive ?? ""))
        .digest("hex");
    expect(await digest(again)).toBe(await digest(images[0]));
  });

  test("what is pushed is found again, by digest and as the same image", async () => {
    expect(await verify(images)).toEqual(["absent", "absent"]);
    const pushed = await pushImages(home, tools.path("buildah"), images, registry());
    expect(pushed.map(({ reference }) => reference)).toEqual([
      expect.stringMatching(/^127\.0\.0\.1:\d+\/tests\/pause@sha256:[0-9a-f]{64}$/),
      expect.stringMatching(/\/shell@sha256:/),
    ]);
    expect(await verify(images)).toEqual(["same", "same"]);
  });

  test("another image under the same tag is found out, and the command says so by its exit code", async () => {
    const [pause, shell] = images;
    if (pause === undefined || shell === undefined) throw new Error("no images");
    const impostor = { ...pause, archive: shell.archive };
    await pushImages(home, tools.path("buildah"), [impostor], registry());
    expect(await verify(images)).toEqual(["different", "same"]);
    const outcome = await orrery(["images", "verify", prefix, "pause", "shell", "--insecure"], cluster.environment());
    expect(outcome.code, outcome.stderr).toBe(1);
    expect(outcome.stdout).toMatch(/^different {2}.*pause:.*\nsame {2}.*shell:/);
  });

  test("the bill of an image names its packages with versions, and is the same twice", async () => {
    const write = async (output: string) => {
      const outcome = await orrery(["images", "sbom", "driver", "-o", output], cluster.environment());
      expect(outcome.code, outcome.stderr).toBe(0);
      return await readFile(join(output, "driver.cdx.json"), "utf8");
    };
    const text = await write(join(folder, "bill"));
    expect(await write(join(folder, "again"))).toBe(text);
    const bill = JSON.parse(text);
    expect(bill).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.6" });
    const urls: string[] = bill.components.map(({ purl }: { purl: string }) => purl);
    const { dependencies, devDependencies } = JSON.parse(await readFile("package.json", "utf8"));
    expect(urls).toContain(`pkg:npm/zod@${dependencies.zod}`);
    expect(urls).toContain(`pkg:generic/node@${devDependencies.node}`);
    expect(urls).toContainEqual(expect.stringMatching(/^pkg:deb\/\w+\/libc6@\d/)); // of the base image
    expect(urls.filter((url) => url.startsWith("pkg:npm/vitest"))).toEqual([]);
  });

  test("a registry that is not there is one clear error", async () => {
    const nowhere = { prefix: `127.0.0.1:${await freePort()}/tests`, insecure: true };
    const pushing = pushImages(home, tools.path("buildah"), images.slice(0, 1), nowhere);
    await expect(pushing).rejects.toThrow(EnvironmentError);
  });
});

/** A port nobody listens on at this moment. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}
