#!/usr/bin/env node
// Plain JavaScript on purpose: it must start on any Node to say which one is needed.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major > 22 || (major === 22 && minor >= 18)) {
  await import("./main.ts");
} else {
  const bundled = fileURLToPath(new URL("../node_modules/.bin/node", import.meta.url));
  if (!existsSync(bundled)) {
    console.error(`orrery: Node ${process.versions.node} cannot run TypeScript as it is written.`);
    console.error("  Run `npm ci` in the project, which brings Node 24 along, or install Node 22.18 or later.");
    process.exit(3);
  }
  const { status } = spawnSync(bundled, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: "inherit",
  });
  process.exit(status ?? 4);
}
