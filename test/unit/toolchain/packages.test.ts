import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { aptConfiguration, fileNames, hasApt } from "../../../local/toolchain/apt.ts";
import { exec } from "../../../local/toolchain/exec.ts";
import { unpackPackages } from "../../../local/toolchain/packages.ts";
import type { ToolSpec } from "../../../local/toolchain/tool-spec.ts";
import { resolveFrom, resolveTools } from "../../../local/toolchain/toolchain.ts";
import { temporaryFolder, temporaryHome } from "./support.ts";

const isAvailable = (await hasApt()) && process.env.ORRERY_OFFLINE !== "1";
const systemFolders = ["/var/lib/apt", "/var/cache/apt", "/var/lib/dpkg"];

/** Every file of the package manager with size and time, so that any write shows. */
async function systemState(): Promise<string[]> {
  const lines: string[] = [];
  for (const folder of systemFolders) {
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      const info = await stat(path);
      lines.push(`${path} ${info.size} ${info.mtimeMs}`);
    }
  }
  return lines.sort();
}

test("every folder apt writes to is ours, and no hook of the system runs", () => {
  const text = aptConfiguration("/home/ours", ["DEP-11"]);
  for (const option of ["Dir::State", "Dir::State::status", "Dir::State::extended_states", "Dir::Cache", "Dir::Log"]) {
    expect(text).toMatch(new RegExp(`^${option} "/home/ours/`, "m"));
  }
  expect(text).toContain("#clear APT::Update::Post-Invoke;");
  expect(text).toContain("#clear DPkg::Post-Invoke;");
  expect(text).toContain('Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";');
});

test("file names are read from apt's plan", () => {
  const printed = [
    "Reading package lists...",
    "'http://deb.example/pool/main/s/s6/s6_2.11.3.2-1_amd64.deb' s6_2.11.3.2-1_amd64.deb 127264 MD5Sum:434a",
    "'http://deb.example/c/conntrack_1.4.7-1%2bb2_amd64.deb' conntrack_1%3a1.4.7-1+b2_amd64.deb 35240 SHA256:c4ca",
  ].join("\n");
  expect(fileNames(printed)).toEqual(["s6_2.11.3.2-1_amd64.deb", "conntrack_1%3a1.4.7-1+b2_amd64.deb"]);
});

test("a system without apt is told the packages of Debian and Fedora", async () => {
  const spec: ToolSpec = {
    version: "distribution",
    programs: ["widget"],
    packages: { debian: ["widget-deb"], fedora: ["widget-rpm"] },
  };
  const path = process.env.PATH;
  process.env.PATH = join(await temporaryFolder(), "empty");
  try {
    const failed = resolveFrom(await temporaryHome(), ["widget"], { table: { widget: spec } });
    await expect(failed).rejects.toThrow(
      /no apt-get and dpkg-deb.*apt-get install widget-deb.*dnf install widget-rpm/s,
    );
  } finally {
    process.env.PATH = path;
  }
});

describe.skipIf(!isAvailable)("with a real apt", () => {
  test("a tool is unpacked and runs, and the system's package state is as before", async () => {
    const before = await systemState();
    const home = await temporaryHome();
    // An empty PATH makes sure that the copy of the system, if there is one, is not what is found.
    const tools = await resolveTools(home, ["conntrack", "busybox"], { environment: { PATH: "" } });
    expect(tools.entries.map((entry) => entry.source)).toEqual(["package", "package"]);
    expect((await exec(tools.path("conntrack"), ["--version"])).stdout).toMatch(/conntrack v1\./);
    expect((await exec(tools.path("busybox"), ["echo", "runs"])).stdout).toBe("runs\n");
    const again = await resolveTools(home, ["conntrack", "busybox"], { environment: { PATH: "" } });
    expect(again.entries.map((entry) => entry.source)).toEqual(["cache", "cache"]);
    expect(await systemState()).toEqual(before);
  }, 120_000);

  test("the root of an image holds exactly the named packages, the C library included", async () => {
    const home = await temporaryHome();
    const root = await unpackPackages(home, ["libc6"]);
    expect(existsSync(join(root, "usr/share/doc/libc6/copyright"))).toBe(true);
    expect((await readdir(join(root, "usr/share/doc"))).filter((name) => name !== "libc6")).toEqual([]);
    expect(await unpackPackages(home, ["libc6"])).toBe(root);
  }, 120_000);

  test("a package that does not exist is an error that names it", async () => {
    const failed = unpackPackages(await temporaryHome(), ["orrery-no-such-package"]);
    await expect(failed).rejects.toThrow(/orrery-no-such-package cannot be downloaded/);
  }, 120_000);
});
