import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, realpath, stat, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { exec } from "../../../local/toolchain/exec.ts";
import type { OrreryHome } from "../../../local/toolchain/home.ts";
import { forgetReachability } from "../../../local/toolchain/network.ts";
import { findOfficialPlugin, pulumiEnvironment } from "../../../local/toolchain/pulumi.ts";
import type { ToolTable } from "../../../local/toolchain/tool-spec.ts";
import type { Tools } from "../../../local/toolchain/toolchain.ts";
import { kubernetesPluginVersion } from "../../../local/toolchain/versions.ts";
import { temporaryFolder, temporaryHome, writeProgram } from "./support.ts";

const hasGo = (await exec("sh", ["-c", "command -v go"])).code === 0;
const program = "pulumi-resource-kubernetes";

beforeEach(() => {
  forgetReachability();
  vi.stubEnv("ORRERY_OFFLINE", "1");
});
afterEach(() => vi.unstubAllEnvs());

/** A home with pulumi resolved, a user's home, and a table in which our plugin is one small Go program. */
async function world() {
  const home = await temporaryHome();
  const user = await temporaryFolder();
  const bin = join(user, "bin");
  const pulumi = await writeProgram(join(bin, "pulumi"), "echo v3.246.0");
  const sources = await temporaryFolder();
  await mkdir(join(sources, "plugin"));
  await writeFile(join(sources, "go.mod"), "module example.test/plugin\n\ngo 1.21\n");
  await writeFile(join(sources, "go.sum"), "");
  await writeFile(join(sources, "plugin/main.go"), "package main\n\nfunc main() {}\n");
  const table: ToolTable = {
    "kubernetes-plugin": {
      version: kubernetesPluginVersion,
      programs: [program],
      build: [{ module: "", package: "./plugin", output: program, ldflags: [], sources: ["plugin"] }],
    },
  };
  const PATH = process.env.PATH ?? "";
  const tools: Tools = { path: () => pulumi, env: { PATH: `${bin}${delimiter}${PATH}` }, entries: [] };
  const environment = { ...process.env, HOME: user, PATH, PULUMI_HOME: "" };
  return { home, user, tools, options: { environment, table, sources } };
}

async function officialIn(folder: string, version = kubernetesPluginVersion): Promise<string> {
  return await writeProgram(join(folder, "plugins", `resource-kubernetes-v${version}`, program), "echo official");
}

/** What pulumi would take from PATH. */
function firstOnPath(path: string | undefined): string | undefined {
  return path
    ?.split(delimiter)
    .map((folder) => join(folder, program))
    .find((candidate) => existsSync(candidate));
}

async function ourBuilds(home: OrreryHome): Promise<string[]> {
  return existsSync(home.tools) ? await readdir(home.tools) : [];
}

describe("the official plugin wins", () => {
  test("from Pulumi's folder of this home", async () => {
    const { home, tools, options } = await world();
    const path = await officialIn(home.pulumi);
    const result = await pulumiEnvironment(home, tools, options);
    expect(result).toMatchObject({ kubernetesPlugin: "official", pluginPath: path });
    expect(firstOnPath(result.env.PATH)).toBeUndefined();
    expect(await ourBuilds(home)).toEqual([]);
  });

  test("from ~/.pulumi, which is only read", async () => {
    const { home, user, tools, options } = await world();
    const path = await officialIn(join(user, ".pulumi"));
    const before = await stat(dirname(path));
    const result = await pulumiEnvironment(home, tools, options);
    expect(result).toMatchObject({ kubernetesPlugin: "official", pluginPath: path });
    const folder = join(home.pulumi, "plugins", `resource-kubernetes-v${kubernetesPluginVersion}`);
    // Pulumi passes over links to folders, so the folder has to be a real one.
    expect((await stat(folder)).isDirectory()).toBe(true);
    expect(await realpath(folder)).toBe(folder.replace(home.root, await realpath(home.root)));
    expect(await readFile(join(folder, program), "utf8")).toContain("official");
    expect((await stat(dirname(path))).mtimeMs).toBe(before.mtimeMs);
    expect(firstOnPath(result.env.PATH)).toBeUndefined();
  });

  test("from PATH", async () => {
    const { home, user, tools, options } = await world();
    const path = await writeProgram(join(user, "elsewhere", program), "echo official");
    const PATH = `${dirname(path)}${delimiter}${options.environment.PATH}`;
    const result = await pulumiEnvironment(
      home,
      { ...tools, env: { PATH } },
      { ...options, environment: { ...options.environment, PATH } },
    );
    expect(result).toMatchObject({ kubernetesPlugin: "official", pluginPath: path });
    expect(firstOnPath(result.env.PATH)).toBe(path);
  });

  test("in another version of the same major when the right one cannot be downloaded", async () => {
    const { home, user, tools, options } = await world();
    await officialIn(join(user, ".pulumi"), "3.30.2");
    await officialIn(join(user, ".pulumi"), "4.9.1");
    const path = await officialIn(join(user, ".pulumi"), "4.21.0");
    const result = await pulumiEnvironment(home, tools, options);
    expect(result).toMatchObject({ kubernetesPlugin: "official", pluginPath: path });
    // Pulumi looks for the exact version in folders, but takes any from PATH.
    expect(firstOnPath(result.env.PATH)).toBe(path);
  });

  test("but not when its download has not ended", async () => {
    const { home, user, options } = await world();
    const path = await officialIn(join(user, ".pulumi"));
    await writeFile(`${dirname(path)}.partial`, "");
    expect(await findOfficialPlugin(home, options.environment)).toBeUndefined();
  });
});

describe.skipIf(!hasGo)("without an official plugin", () => {
  test("ours goes on PATH, from a folder that holds nothing else, and goes again when the official one appears", async () => {
    const { home, tools, options } = await world();
    const ours = await pulumiEnvironment(home, tools, options);
    expect(ours.kubernetesPlugin).toBe("orrery");
    expect(firstOnPath(ours.env.PATH)).toBe(ours.pluginPath);
    expect(await readdir(dirname(ours.pluginPath))).toEqual([program]);
    await officialIn(home.pulumi);
    const inherited = { ...options.environment, PATH: ours.env.PATH ?? "" };
    const result = await pulumiEnvironment(
      home,
      { ...tools, env: { PATH: inherited.PATH } },
      { ...options, environment: inherited },
    );
    expect(result.kubernetesPlugin).toBe("official");
    expect(firstOnPath(result.env.PATH)).toBeUndefined();
  }, 120_000);
});

test("backend, passphrase and plugins lie in the home", async () => {
  const { home, tools, options } = await world();
  await officialIn(home.pulumi);
  const { env } = await pulumiEnvironment(home, tools, options);
  expect(env).toMatchObject({
    PULUMI_HOME: home.pulumi,
    PULUMI_BACKEND_URL: `file://${home.state}`,
    PULUMI_CONFIG_PASSPHRASE_FILE: home.passphrase,
    PULUMI_SKIP_UPDATE_CHECK: "true",
  });
  expect(env).not.toHaveProperty("PULUMI_SKIP_CHECKPOINTS");
  expect((await stat(home.passphrase)).mode & 0o777).toBe(0o600);
});
