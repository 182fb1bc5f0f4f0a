import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import { EnvironmentError } from "../../schema/errors.ts";
import { exec } from "../toolchain/exec.ts";
import { type ConfigInput, type ControlPlaneName, controlPlaneNames, kwokctlConfig } from "./config.ts";
import type { ClusterPaths } from "./paths.ts";
import { waitUntil } from "./processes.ts";
import type { ServicePrograms } from "./services.ts";
import { readIfExists } from "./state.ts";

const componentsSchema = z.object({
  kind: z.literal("KwokctlConfiguration"),
  components: z.array(z.object({ name: z.string(), args: z.array(z.string()) })),
});

/** Command line arguments of each control plane component, as kwokctl wrote them. */
export type ControlPlaneArguments = Readonly<Record<ControlPlaneName, readonly string[]>>;

/**
 * The arguments of a control plane kwokctl has set up; undefined when it has not, or not completely.
 *
 * @throws EnvironmentError when what it wrote cannot be read any more
 */
export async function readControlPlane(paths: ClusterPaths): Promise<ControlPlaneArguments | undefined> {
  const text = await readIfExists(join(paths.kwokCluster, "kwok.yaml"));
  const certificate = await readIfExists(join(paths.kwokCluster, "pki", "admin.crt"));
  const kubeconfig = await readIfExists(join(paths.kwokCluster, "kubeconfig.yaml"));
  if (!text || !certificate || !kubeconfig) return undefined;
  for (const document of parseAllDocuments(text)) {
    const parsed = componentsSchema.safeParse(document.toJS());
    if (!parsed.success) continue;
    const found = new Map(parsed.data.components.map((component) => [component.name, component.args]));
    const result: Partial<Record<ControlPlaneName, readonly string[]>> = {};
    for (const name of controlPlaneNames) {
      const args = found.get(name);
      if (args === undefined) return undefined;
      result[name] = args;
    }
    return result as ControlPlaneArguments;
  }
  return undefined;
}

/**
 * Has kwokctl make certificates, kubeconfig and command lines for a new control plane, and nothing else: its processes
 * are the supervisor's to run. kwokctl starts only what its pid files do not say is running, so they are written first
 * and name process 1, the supervisor that does run them.
 *
 * @param enter Command that runs a program inside the cluster's namespaces; kwokctl puts the addresses it sees there
 *   into the certificate.
 */
export async function createControlPlane(
  input: ConfigInput,
  programs: ServicePrograms,
  enter: readonly string[],
  signal?: AbortSignal,
): Promise<ControlPlaneArguments> {
  const { paths } = input;
  await rm(paths.kwok, { recursive: true, force: true });
  await mkdir(join(paths.kwokCluster, "pids"), { recursive: true });
  for (const name of controlPlaneNames) {
    await writeFile(join(paths.kwokCluster, "pids", `${name}.pid`), "1");
  }
  const binaries = Object.fromEntries(controlPlaneNames.map((name) => [name, programs.of(name)]));
  const config = join(paths.config, "kwokctl.yaml");
  await writeFile(config, kwokctlConfig(input, binaries as Record<ControlPlaneName, string>));
  const [program, ...args] = enter;
  if (program === undefined) throw new Error("createControlPlane: no command to enter the cluster with");
  // It would wait for the API server to answer; what it is here for is done in half a second.
  const stop = new AbortController();
  const stopped = signal === undefined ? stop.signal : AbortSignal.any([stop.signal, signal]);
  const running = exec(
    program,
    [
      ...args,
      ...[programs.of("kwokctl"), "--config", config, "--name", paths.name, "create", "cluster"],
      ...["--kubeconfig", join(paths.kwok, "kubeconfig")],
    ],
    {
      env: {
        PATH: programs.path,
        HOME: paths.kwok,
        KWOK_WORKDIR: paths.kwok,
        KWOK_KUBE_VERSION: "v1.34.4",
      },
      signal: stopped,
    },
  ).catch((error: unknown) => {
    if (stop.signal.aborted) return undefined;
    throw error;
  });
  let ended: Awaited<typeof running>;
  void running.then(
    (result) => {
      ended = result;
    },
    () => {},
  );
  let found: ControlPlaneArguments | undefined;
  const done = async () => {
    found = await readControlPlane(paths);
    return found !== undefined || ended !== undefined;
  };
  await waitUntil(done, 30_000, { intervalMs: 20, signal });
  stop.abort();
  await running;
  if (found !== undefined) return found;
  throw new EnvironmentError(
    `kwokctl did not set up a control plane: ${ended?.stderr.trim().split("\n").slice(-5).join("\n") ?? "no answer in 30 s"}`,
    `Look into ${paths.logs}; run \`orrery local reset\` and try again.`,
  );
}
