import { access, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { requireRust } from "../../../images/cargo.ts";
import { packageNames, packagesImportedBy } from "../../../images/npm-packages.ts";
import { hashTree } from "../../../images/parts.ts";
import { type ImageSpec, images } from "../../../images/table.ts";

const root = join(import.meta.dirname, "../../..");

test("packages are read from imports; own files, Node's modules and types are none", () => {
  const text = [
    'import { Hono } from "hono";',
    'import { serve } from "@hono/node-server/conninfo";',
    'import type { Thing } from "only-types";',
    'import { readFile } from "node:fs/promises";',
    'import { own } from "./own.ts";',
    'import {\n  many,\n  lines,\n} from "spread";',
    'const late = await import("late");',
    'import "for-effect";',
  ].join("\n");
  expect(packageNames(text)).toEqual(["hono", "@hono/node-server", "spread", "late", "for-effect"]);
});

test("the driver's packages are installed ones, with what they depend on", async () => {
  const packages = await packagesImportedBy(root, ["workloads", "schema"]);
  const names = packages.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(["zod", "hdr-histogram-js", "pako", "base64-js"]));
  expect(names).not.toContain("@pulumi/pulumi");
  for (const { folder } of packages) await access(join(root, folder, "package.json"));
});

test("every image's build file, base and files exist", async () => {
  for (const spec of Object.values<ImageSpec>(images)) {
    await access(join(root, "images", spec.buildFile));
    if (spec.base !== undefined) expect(Object.keys(images)).toContain(spec.base);
    for (const part of spec.parts) if (part.kind === "files") await access(join(root, part.from));
  }
});

test("a tree's hash depends on names and contents, not on when it was made", async () => {
  const once = await hashTree(join(root, "images/base"));
  expect(await hashTree(join(root, "images/base"))).toBe(once);
  expect(await hashTree(join(root, "images/base/etc"))).not.toBe(once);
  expect(await hashTree(join(root, "images/nothing-here"))).toBe("none");
});

test("a tree's hash is not about texts and tests, which no image holds", async () => {
  const folder = await mkdtemp(join(tmpdir(), "orrery-tree-"));
  try {
    await writeFile(join(folder, "program.ts"), "run();");
    const once = await hashTree(folder);
    await writeFile(join(folder, "README.md"), "# What it does");
    await writeFile(join(folder, "program.test.ts"), "test();");
    expect(await hashTree(folder)).toBe(once);
    await writeFile(join(folder, "other.ts"), "run();");
    expect(await hashTree(folder)).not.toBe(once);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("a Rust compiler that is missing, too old or not set up is named with what it says", async () => {
  const folder = await mkdtemp(join(tmpdir(), "orrery-cargo-"));
  const ask = (script?: string) => async () => {
    if (script !== undefined) await writeFile(join(folder, "cargo"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    await requireRust(root, "nodes/kv", { PATH: folder });
  };
  await expect(ask()).rejects.toThrow("nodes/kv needs a Rust compiler, version 1.90 or later: cargo is not on PATH");
  await expect(ask("echo cargo 1.63.0")).rejects.toThrow("is version 1.63.0");
  await expect(ask("echo no default is configured >&2; exit 1")).rejects.toThrow("says: no default is configured");
  await expect(ask("echo cargo 1.95.0 and more")()).resolves.toBeUndefined();
  await rm(folder, { recursive: true });
});
