import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { OrreryHome } from "../../local/toolchain/home.ts";
import { lineProgress } from "../../local/toolchain/progress.ts";
import { resolveTools } from "../../local/toolchain/toolchain.ts";
import { EnvironmentError } from "../../schema/errors.ts";

declare module "vitest" {
  interface ProvidedContext {
    browser: { readonly executable?: string; readonly reason?: string };
  }
}

/**
 * Finds the browser of the browser tests: ORRERY_CHROMIUM, the user's tool cache, PATH, or the distribution's package,
 * unpacked into that cache and never installed. Where none can be had the tests are skipped and the reason is printed;
 * with ORRERY_REQUIRE_CLUSTER=1 that is a failure.
 */
export default async function setup(project: TestProject): Promise<void> {
  const given = process.env.ORRERY_CHROMIUM;
  if (given !== undefined && given !== "") {
    project.provide("browser", { executable: given });
    return;
  }
  const root = await mkdtemp(join(tmpdir(), "orrery-browser-"));
  const progress = lineProgress((line) => process.stderr.write(`${line}\n`));
  try {
    const home = new OrreryHome({ root, cache: OrreryHome.fromEnvironment().cache });
    const tools = await resolveTools(home, ["chromium"], { progress });
    project.provide("browser", { executable: tools.path("chromium") });
  } catch (error) {
    if (!(error instanceof EnvironmentError) || process.env.ORRERY_REQUIRE_CLUSTER === "1") {
      throw error;
    }
    process.stderr.write(`browser tests are skipped: ${error.message}\n`);
    project.provide("browser", { reason: error.message });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
