import { existsSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { OrreryHome, requireDiskSpace } from "../../../local/toolchain/home.ts";
import { EnvironmentError } from "../../../schema/errors.ts";
import { temporaryFolder, temporaryHome } from "./support.ts";

test("the environment names home and cache, and nothing is made before it is needed", async () => {
  const folder = await temporaryFolder();
  const plain = OrreryHome.fromEnvironment({ ORRERY_HOME: join(folder, "a") });
  expect(plain.cache).toBe(join(folder, "a", "cache"));
  const shared = OrreryHome.fromEnvironment({ ORRERY_HOME: join(folder, "b"), ORRERY_CACHE: plain.cache });
  expect(shared.tools).toBe(plain.tools);
  expect(shared.state).not.toBe(plain.state);
  expect(existsSync(plain.root)).toBe(false);
});

test("of many that make the passphrase at once one wins, readable by its owner alone", async () => {
  const home = await temporaryHome();
  const paths = await Promise.all(Array.from({ length: 20 }, () => home.ensurePassphrase()));
  const texts = await Promise.all(paths.map((path) => readFile(path, "utf8")));
  expect(new Set(texts).size).toBe(1);
  expect(texts[0]?.trim().length).toBeGreaterThan(40);
  expect((await stat(home.passphrase)).mode & 0o777).toBe(0o600);
});

test("an empty passphrase file is an error, not a new passphrase", async () => {
  const home = await temporaryHome();
  await home.prepare();
  await writeFile(home.passphrase, "");
  await expect(home.ensurePassphrase()).rejects.toThrow(/is empty/);
});

test("a home that cannot be written is named together with the variable to set", async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, "file"), "");
  const home = new OrreryHome({ root: join(folder, "file", "home") });
  await expect(home.prepare()).rejects.toThrow(/ORRERY_HOME/);
});

test("too little disk space is an error of the environment with both amounts", async () => {
  const folder = await temporaryFolder();
  await expect(requireDiskSpace(join(folder, "not", "there"), 1)).resolves.toBeUndefined();
  const absurd = requireDiskSpace(folder, 2 ** 60);
  await expect(absurd).rejects.toBeInstanceOf(EnvironmentError);
  await expect(absurd).rejects.toThrow(/GiB free; 1073741824\.0 GiB are needed/);
});
