import { z } from "zod";
import { EnvironmentError } from "../schema/errors.ts";
import { type ExternalTool, lastWords, runTool } from "../targets/external-tool.ts";
import { type MinikubeOptions, megabytes } from "./settings.ts";

const minikube: ExternalTool = { program: "minikube", website: "https://minikube.sigs.k8s.io/docs/start" };

/** Addons every cluster of ours has: web apps through Ingress, volumes, and a default StorageClass for them. */
export const addons = ["ingress", "storage-provisioner", "default-storageclass"] as const;

/** A profile as `minikube profile list` tells it. */
export interface Profile {
  readonly name: string;
  readonly driver: string;
  readonly running: boolean;
  /** False for a profile whose files are damaged. */
  readonly valid: boolean;
}

const profileSchema = z.object({
  Name: z.string(),
  Status: z.string().default(""),
  Config: z.object({ Driver: z.string().default("") }).nullish(),
});
const profilesSchema = z.object({
  valid: z.array(profileSchema).nullish(),
  invalid: z.array(profileSchema).nullish(),
});
const addonsSchema = z.record(z.string(), z.object({ Status: z.string() }));
const imagesSchema = z.array(z.object({ repoTags: z.array(z.string()).nullish() })).nullable();
/** A line of `--output=json`: a CloudEvent, in kubernetes/minikube pkg/minikube/out/register. */
const eventSchema = z.object({ type: z.string(), data: z.record(z.string(), z.string()) });

/** @throws EnvironmentError when minikube is missing */
export async function version(): Promise<string> {
  const text = await succeed(["version", "--output=json"]);
  return parse(z.object({ minikubeVersion: z.string() }), text, "version").minikubeVersion;
}

export async function profiles(signal?: AbortSignal): Promise<Profile[]> {
  // Without any profile, it says so as an error event and exits with a code of its own: that is an empty list.
  const result = await runTool(minikube, ["profile", "list", "--output=json"], { signal });
  if (result.code !== 0 && /No minikube profile was found/i.test(result.stdout + result.stderr)) return [];
  if (result.code !== 0) throw failed(["profile", "list"], result);
  const { valid, invalid } = parse(profilesSchema, result.stdout, "profile list");
  const read = (all: readonly z.output<typeof profileSchema>[] | null | undefined, isValid: boolean) =>
    (all ?? []).map(({ Name, Status, Config }) => ({
      name: Name,
      driver: Config?.Driver ?? "",
      running: Status === "Running" || Status === "OK", // the word changed in v1.33
      valid: isValid,
    }));
  return [...read(valid, true), ...read(invalid, false)];
}

/** Why minikube could not start a cluster: the id of kubernetes/minikube pkg/minikube/reason, and its words. */
export class StartFailure extends Error {
  readonly id: string;
  constructor(id: string, message: string) {
    super(message);
    this.name = "StartFailure";
    this.id = id;
  }
}

/**
 * Makes or starts the cluster of a profile.
 *
 * @param onStep told what minikube is at
 * @throws StartFailure
 */
export async function start(
  options: MinikubeOptions,
  onStep: (text: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  let failure: { id: string; message: string } | undefined;
  const onLine = (line: string) => {
    const event = readEvent(line);
    if (event?.type.endsWith(".step") && event.data.message) onStep(event.data.message.trim());
    if (event?.type.endsWith(".error")) {
      failure = {
        id: event.data.name ?? "",
        message: [event.data.message, event.data.advice].filter(Boolean).join(" "),
      };
    }
  };
  const result = await runTool(minikube, startArgs(options), { signal, onLine });
  if (result.code === 0) return;
  throw new StartFailure(failure?.id ?? "", failure?.message.trim() || lastWords(result));
}

/** Command line of `minikube start` for some options. */
export function startArgs(options: MinikubeOptions): string[] {
  return [
    "start",
    `--profile=${options.profile}`,
    "--driver=docker",
    "--output=json",
    `--cpus=${options.cpus}`,
    `--memory=${megabytes(options.memory)}mb`,
    `--disk-size=${megabytes(options.disk)}mb`,
    `--nodes=${options.nodes}`,
    `--cni=${options.cni}`,
    `--addons=${addons.join(",")}`,
    "--feature-gates=MaxUnavailableStatefulSet=true",
    "--keep-context=true",
    "--wait=all",
    ...(options.kubernetes === undefined ? [] : [`--kubernetes-version=${options.kubernetes}`]),
    ...(options.mount === undefined ? [] : ["--mount", `--mount-string=${options.mount}`]),
  ];
}

export async function deleteProfile(profile: string): Promise<void> {
  await succeed(["delete", `--profile=${profile}`]);
}

/** Names of the addons that are switched on. */
export async function enabledAddons(profile: string): Promise<string[]> {
  const text = await succeed(["addons", "list", "--output=json", `--profile=${profile}`]);
  const all = Object.entries(parse(addonsSchema, text, "addons list"));
  return all.filter(([, addon]) => addon.Status === "enabled").map(([name]) => name);
}

export async function enableAddon(profile: string, addon: string, signal?: AbortSignal): Promise<void> {
  await succeed(["addons", "enable", addon, `--profile=${profile}`], signal);
}

/** References of the images on the cluster's nodes. */
export async function images(profile: string): Promise<Set<string>> {
  const text = await succeed(["image", "ls", "--format=json", `--profile=${profile}`]);
  return new Set((parse(imagesSchema, text, "image ls") ?? []).flatMap((image) => image.repoTags ?? []));
}

export async function loadImage(profile: string, archive: string, signal?: AbortSignal): Promise<void> {
  await succeed(["image", "load", archive, `--profile=${profile}`], signal);
}

async function succeed(args: readonly string[], signal?: AbortSignal): Promise<string> {
  const result = await runTool(minikube, args, { signal });
  if (result.code !== 0) throw failed(args, result);
  return result.stdout;
}

function failed(args: readonly string[], result: Parameters<typeof lastWords>[0]): EnvironmentError {
  return new EnvironmentError(
    `minikube ${args.join(" ")} ended with ${result.code}: ${lastWords(result)}`,
    "`minikube logs` says more; `minikube delete` takes a damaged profile away.",
  );
}

function parse<Schema extends z.ZodType>(schema: Schema, text: string, what: string): z.output<Schema> {
  const parsed = schema.safeParse(readJson(text));
  if (parsed.success) return parsed.data;
  throw new EnvironmentError(
    `minikube ${what} answered something unknown: ${text.trim().slice(0, 200) || "nothing"}.`,
    "Use minikube v1.32 or later.",
    { cause: parsed.error },
  );
}

function readEvent(line: string): z.output<typeof eventSchema> | undefined {
  return eventSchema.safeParse(readJson(line)).data;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // plain text among the events, or an unknown answer: the caller decides
  }
}
