import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { doctor } from "../../../local/toolchain/doctor.ts";
import { clusterTools } from "../../../local/toolchain/toolchain.ts";
import { temporaryFolder, temporaryHome } from "./support.ts";

test("every check says what was found and needed, and what fails says what to do", async () => {
  const home = await temporaryHome();
  const checks = await doctor(home, { target: "local" });
  for (const check of checks) {
    expect(check.found, check.name).not.toBe("");
    expect(check.needed, check.name).not.toBe("");
    expect(check.fix === "", check.name).toBe(check.status === "ok");
  }
  const names = checks.map((check) => check.name);
  expect(names).toEqual(expect.arrayContaining(["node", "disk", "memory", "cpu", "go", "kubernetes plugin"]));
  if (process.platform === "linux") expect(names).toEqual(expect.arrayContaining([...clusterTools, "cgroups", "apt"]));
  expect(new Set(names).size).toBe(names.length);
  expect(existsSync(home.root)).toBe(false);
});

test("without compilers and packages on PATH the missing tools fail and are named", async () => {
  const empty = join(await temporaryFolder(), "empty");
  const checks = await doctor(await temporaryHome(), { target: "local", environment: { PATH: empty, HOME: empty } });
  const status = (name: string) => checks.find((check) => check.name === name)?.status;
  expect(status("pause")).toBe("fail");
  expect(status("go")).toBe("warn");
});

test("an existing cluster needs neither kernel features nor a container runtime", async () => {
  const checks = await doctor(await temporaryHome(), { target: "context" });
  const names = checks.map((check) => check.name);
  expect(names).toContain("pulumi");
  expect(names).not.toContain("containerd");
  expect(names).not.toContain("cgroups");
});
