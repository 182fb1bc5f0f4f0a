import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestProject } from "vitest/node";
import { buildImages } from "../../images/build.ts";
import { clusterReset, clusterUp, importImages } from "../../local/cluster/index.ts";
import { OrreryHome } from "../../local/toolchain/home.ts";
import { lineProgress, type Progress } from "../../local/toolchain/progress.ts";
import { pulumiEnvironment } from "../../local/toolchain/pulumi.ts";
import { imageTools, pulumiTools, resolveTools } from "../../local/toolchain/toolchain.ts";
import { EnvironmentError } from "../../schema/errors.ts";

interface Conformance {
  readonly plugin: "official" | "orrery";
  /** Folder of the plugin when it is ours. */
  readonly pluginDir: string | undefined;
  readonly image: string;
  /** PATH on which pulumi is. */
  readonly path: string;
}

declare module "vitest" {
  interface ProvidedContext {
    cluster: {
      readonly home?: string;
      readonly cache?: string;
      readonly reason?: string;
      readonly conformance?: Conformance;
    };
  }
}

/**
 * Starts one cluster in a home of its own for all cluster tests. The tool cache is the user's, so nothing is built
 * twice. Where no cluster can run, the tests that need one are skipped and the reason is printed; with
 * ORRERY_REQUIRE_CLUSTER=1 that is a failure.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { cache } = OrreryHome.fromEnvironment();
  const root = await mkdtemp(join(tmpdir(), "orrery-test-"));
  const home = new OrreryHome({ root, cache });
  const remove = async () => {
    await clusterReset(home);
    await rm(root, { recursive: true, force: true });
  };
  const progress = lineProgress((line) => process.stderr.write(`${line}\n`));
  let conformance: Conformance;
  try {
    await home.prepare();
    conformance = await prepare(home, progress);
  } catch (error) {
    await (process.getuid?.() === 0 ? remove() : rm(root, { recursive: true, force: true }));
    if (!(error instanceof EnvironmentError) || process.env.ORRERY_REQUIRE_CLUSTER === "1") {
      throw error;
    }
    process.stderr.write(`cluster tests are skipped: ${error.message}\n`);
    project.provide("cluster", { reason: error.message });
    return async () => {};
  }
  project.provide("cluster", { home: root, cache, conformance });
  return remove;
}

/** Starts the cluster and makes what its tests share. */
async function prepare(home: OrreryHome, progress: Progress): Promise<Conformance> {
  const cluster = await clusterUp(home, { progress });
  const pulumi = await pulumiEnvironment(home, await resolveTools(home, pulumiTools, { progress }), { progress });
  const tools = await resolveTools(home, imageTools, { progress });
  const [shell] = await buildImages(home, tools, ["shell"], { progress });
  if (shell === undefined) {
    throw new Error("the image of the tests was not built");
  }
  await importImages(home, cluster, [shell]);
  return {
    plugin: pulumi.kubernetesPlugin,
    pluginDir: pulumi.kubernetesPlugin === "orrery" ? dirname(pulumi.pluginPath) : undefined,
    image: shell.reference,
    path: pulumi.env.PATH ?? "",
  };
}
