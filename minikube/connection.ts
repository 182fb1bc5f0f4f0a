import type { TargetConnection } from "../components/cluster-target.ts";
import { EnvironmentError, messageOf } from "../schema/errors.ts";
import { buildHere, namesToBuild } from "../targets/built-images.ts";
import { dockerEngine } from "../targets/docker.ts";
import { kubeConfigOf, serverVersion } from "../targets/kube-client.ts";
import { defaultKubeconfig } from "../targets/kubeconfig.ts";
import type { Preparing, TargetModule, TargetSettings } from "../targets/module.ts";
import * as minikube from "./cli.ts";
import { minikubePreflight } from "./doctor.ts";
import { loadImages } from "./images.ts";
import { type MinikubeOptions, megabytes, optionProblems, readOptions } from "./settings.ts";

/** A minikube profile on Docker: made or started when needed, images built here and loaded. */
export const minikubeModule: TargetModule = {
  problems: optionProblems,
  complete: (settings) => ({ ...settings, context: settings.context ?? readOptions(settings)?.profile ?? "" }),
  find: async (settings) => {
    const { profile } = optionsOf(settings);
    const found = (await minikube.profiles()).find((one) => one.name === profile);
    return found?.running === true ? connectionOf(profile) : undefined;
  },
  prepare: async (settings, deployment, preparing) => {
    const options = optionsOf(settings);
    const version = await minikube.version();
    const engine = await dockerEngine(preparing.signal);
    await ensureCluster(options, engine, preparing);
    await ensureAddons(options.profile, preparing);
    const connection = connectionOf(options.profile);
    await serverVersion(kubeConfigOf(connection));
    const { images } = await buildHere(namesToBuild(settings, deployment.images), preparing);
    await loadImages(options.profile, images, preparing);
    return {
      connection,
      networkPolicyEnforced: options.cni === "calico" || options.cni === "cilium",
      versions: { minikube: version, docker: engine.version },
      afterwards: `minikube profile ${options.profile} goes on; \`minikube stop -p ${options.profile}\` stops it`,
    };
  },
  load: async (settings, names, preparing) => {
    const { profile } = optionsOf(settings);
    await requireRunning(profile, preparing);
    const { images } = await buildHere(names, preparing);
    await loadImages(profile, images, preparing);
    return images;
  },
  preflight: minikubePreflight,
};

/** `--context` names the profile too, since minikube calls the two the same. */
function optionsOf(settings: TargetSettings): MinikubeOptions {
  const options = readOptions(settings);
  if (options === undefined) throw new Error("minikube: the options were not checked");
  return { ...options, profile: settings.context || options.profile };
}

const connectionOf = (profile: string): TargetConnection => ({
  name: "minikube",
  kubeconfig: defaultKubeconfig(),
  context: profile,
});

async function requireRunning(profile: string, { signal }: Preparing): Promise<void> {
  const found = (await minikube.profiles(signal)).find((one) => one.name === profile);
  if (found?.running === true) return;
  throw new EnvironmentError(
    `The minikube cluster ${profile} ${found === undefined ? "is not there" : "does not run"}.`,
    "`npx orrery up <experiment> --target minikube` makes and starts it.",
  );
}

interface Engine {
  readonly cpus: number;
  readonly memory: number;
}

async function ensureCluster(options: MinikubeOptions, engine: Engine, preparing: Preparing): Promise<void> {
  const { profile } = options;
  const existing = (await minikube.profiles(preparing.signal)).find((one) => one.name === profile);
  if (existing !== undefined && !existing.valid) {
    throw new EnvironmentError(
      `The minikube profile ${profile} is damaged.`,
      `Take it away: minikube delete -p ${profile}`,
    );
  }
  if (existing !== undefined && existing.driver !== "docker") {
    throw new EnvironmentError(
      `The minikube profile ${profile} uses the driver ${existing.driver}, not docker.`,
      `Use another profile (--target-option profile=<name>), or an existing cluster as it is: --context ${profile} without --target.`,
    );
  }
  if (existing?.running === true) return;
  if (existing === undefined) requireRoom(options, engine);
  await startCluster(options, existing === undefined, preparing);
}

/** minikube would refuse as well, but late, and for memory only. */
function requireRoom(options: MinikubeOptions, engine: Engine): void {
  const nodes = Number(options.nodes);
  const have = Math.floor(engine.memory / 2 ** 20);
  if (megabytes(options.memory) * nodes > have) {
    throw new EnvironmentError(
      `${nodes} minikube node(s) of ${options.memory} do not fit into the ${have} MB Docker has.`,
      "Give Docker more memory, or ask for less: --target-option memory=<size>",
    );
  }
  if (Number(options.cpus) > engine.cpus) {
    throw new EnvironmentError(
      `A minikube node of ${options.cpus} CPUs does not fit into the ${engine.cpus} Docker has.`,
      "Give Docker more CPUs, or ask for fewer: --target-option cpus=<number>",
    );
  }
}

/** A cluster that could not be made is taken away again; one that was there before is left as it is. */
async function startCluster(options: MinikubeOptions, isNew: boolean, preparing: Preparing): Promise<void> {
  const task = `${isNew ? "make" : "start"} the minikube cluster ${options.profile}`;
  const { progress, signal } = preparing;
  progress.start(task);
  let step = 0;
  try {
    const onStep = (detail: string) => {
      step += 1;
      progress.update(task, { done: step, detail });
    };
    await minikube.start(options, onStep, signal);
  } catch (error) {
    progress.fail(task, messageOf(error));
    if (isNew) await minikube.deleteProfile(options.profile);
    if (!(error instanceof minikube.StartFailure)) throw error;
    throw new EnvironmentError(
      `minikube could not ${isNew ? "make" : "start"} the cluster ${options.profile}: ${error.message}`,
      remedies[error.id] ?? `\`minikube logs -p ${options.profile}\` says more (${error.id || "no reason given"}).`,
      { cause: error },
    );
  }
  progress.done(task);
}

/** What to do about reasons of kubernetes/minikube pkg/minikube/reason. */
const remedies: Readonly<Record<string, string>> = {
  PROVIDER_DOCKER_NOT_RUNNING: "Start Docker: systemctl start docker, or Docker Desktop.",
  DRV_AS_ROOT: "Run it as a user of the group docker: minikube refuses its docker driver to root.",
  RSRC_DOCKER_STORAGE: "Free some disk: docker system prune, or give Docker Desktop a larger disk image.",
  RSRC_INSUFFICIENT_STORAGE: "Free some disk, then run it again.",
  RSRC_INSUFFICIENT_CONTAINER_MEMORY: "Give Docker more memory, or ask for less: --target-option memory=<size>",
  RSRC_INSUFFICIENT_SYS_MEMORY: "Close other programs, or ask for less: --target-option memory=<size>",
  RSRC_INSUFFICIENT_CORES: "Give Docker more CPUs, or ask for fewer: --target-option cpus=<number>",
  GUEST_DRIVER_MISMATCH: "Use another profile: --target-option profile=<name>",
};

async function ensureAddons(profile: string, { progress, signal }: Preparing): Promise<void> {
  const enabled = await minikube.enabledAddons(profile);
  for (const addon of minikube.addons.filter((name) => !enabled.includes(name))) {
    const task = `enable the minikube addon ${addon}`;
    progress.start(task);
    await minikube.enableAddon(profile, addon, signal);
    progress.done(task);
  }
}
