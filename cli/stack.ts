import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import {
  ConcurrentUpdateError,
  type ConfigMap,
  type EngineEvent,
  LocalWorkspace,
  PulumiCommand,
  Stack,
  StackNotFoundError,
} from "@pulumi/pulumi/automation/index.js";
import { EnvironmentError, messageOf, RunFailure } from "../schema/errors.ts";
import type { Console } from "./console.ts";
import { livingHolders, settled } from "./interrupted.ts";

/** The project folder, where Pulumi.yaml and the stacks are. */
export const projectFolder = fileURLToPath(new URL("..", import.meta.url));

/** Path of a file relative to the project where it lies below it, so that stack configuration names no machine. */
export function projectPath(file: string): string {
  const path = relative(projectFolder, resolve(file));
  return path.startsWith("..") ? resolve(file) : path;
}

/** How the pulumi command is run: the environment `orrery env` prints. */
export interface PulumiSettings {
  readonly env: Readonly<Record<string, string>>;
}

/** What `pulumi preview --diff` says. */
export interface StackPreviewResult {
  readonly text: string;
  /** Number of resources that would change. */
  readonly changes: number;
  readonly events: readonly EngineEvent[];
}

/** A stack as `pulumi` and `orrery` share it. */
export class ExperimentStack {
  readonly name: string;
  readonly #stack: Stack;
  readonly #console: Console;

  private constructor(name: string, stack: Stack, console: Console) {
    this.name = name;
    this.#stack = stack;
    this.#console = console;
  }

  /**
   * Opens a stack, making it with a fresh root secret if it does not exist or has nothing left to keep.
   *
   * @throws EnvironmentError when it is deployed and the settings it was deployed with are somewhere else
   */
  static async openOrCreate(name: string, settings: PulumiSettings, console: Console): Promise<ExperimentStack> {
    const existing = await ExperimentStack.open(name, settings, console);
    if (existing !== undefined) {
      if ((await existing.config("rootSecret")) === undefined) await existing.#beginAgain();
      return existing;
    }
    await requireOwnStackFile(name);
    const stack = await explained(name, async () => await Stack.create(name, await workspaceOf(settings)));
    const made = new ExperimentStack(name, stack, console);
    await made.#makeRootSecret();
    return made;
  }

  /** A stack of another checkout, whose settings are not in this one. */
  async #beginAgain(): Promise<void> {
    const { deployment } = await explained(this.name, () => this.#stack.exportStack());
    const resources: unknown = deployment?.resources;
    if (Array.isArray(resources) && resources.length > 0) {
      throw new EnvironmentError(
        `The stack ${this.name} is deployed, and its settings, with the secret its keys are derived from, are not here.`,
        `Work in the project folder it was deployed from, or copy stacks/Pulumi.${this.name}.yaml from there to here.`,
      );
    }
    await this.#makeRootSecret();
  }

  async #makeRootSecret(): Promise<void> {
    await this.#stack.setConfig("orrery:rootSecret", { value: randomBytes(32).toString("hex"), secret: true });
  }

  /** Opens a stack, or answers undefined when there is none of that name. */
  static async open(name: string, settings: PulumiSettings, console: Console): Promise<ExperimentStack | undefined> {
    const workspace = await workspaceOf(settings);
    try {
      return new ExperimentStack(name, await Stack.select(name, workspace), console);
    } catch (error) {
      if (error instanceof StackNotFoundError) {
        return undefined;
      }
      throw explain(name, error);
    }
  }

  /** Names of all stacks, in order. */
  static async names(settings: PulumiSettings): Promise<string[]> {
    const stacks = await (await workspaceOf(settings)).listStacks();
    return stacks.map(({ name }) => name).sort();
  }

  /** Sets and, for undefined values, removes configuration; keys without the `orrery:` prefix. */
  async configure(values: Readonly<Record<string, string | undefined>>): Promise<void> {
    const current = await this.#allConfig();
    const set: ConfigMap = {};
    for (const [key, value] of Object.entries(values)) {
      if (value !== undefined && current[`orrery:${key}`]?.value !== value) {
        set[`orrery:${key}`] = { value };
      }
    }
    const remove = Object.keys(values)
      .filter((key) => values[key] === undefined && current[`orrery:${key}`] !== undefined)
      .map((key) => `orrery:${key}`);
    if (Object.keys(set).length > 0) {
      await this.#stack.setAllConfig(set);
    }
    if (remove.length > 0) {
      await this.#stack.removeAllConfig(remove);
    }
  }

  async config(key: string): Promise<string | undefined> {
    return (await this.#allConfig())[`orrery:${key}`]?.value;
  }

  async #allConfig(): Promise<ConfigMap> {
    return await explained(this.name, () => this.#stack.getAllConfig());
  }

  async outputs(): Promise<Readonly<Record<string, unknown>>> {
    const outputs = await this.#stack.outputs();
    return Object.fromEntries(Object.entries(outputs).map(([key, output]) => [key, output.value]));
  }

  /** Makes or changes what the program says; what a killed command left unfinished is looked up first. */
  async up(signal: AbortSignal): Promise<void> {
    await this.#settle(signal);
    const tracker = new ResourceTracker(this.#console);
    await this.#operation("up", (onOutput) =>
      this.#stack.up({ onOutput, onEvent: tracker.event, signal, suppressProgress: true, color: "never" }),
    );
  }

  async preview(signal: AbortSignal): Promise<StackPreviewResult> {
    const events: EngineEvent[] = [];
    const onEvent = (event: EngineEvent) => void events.push(event);
    const result = await this.#operation("preview", (onOutput) =>
      this.#stack.preview({ diff: true, onOutput, onEvent, signal, suppressProgress: true, color: "never" }),
    );
    const unchanged = result.changeSummary.same ?? 0;
    const all = Object.values(result.changeSummary).reduce((sum, count) => sum + (count ?? 0), 0);
    return { text: result.stdout.trim(), changes: all - unchanged, events };
  }

  /** Destroys everything the stack made, and what a killed command was making. */
  async destroy(signal: AbortSignal): Promise<void> {
    await this.#settle(signal);
    const tracker = new ResourceTracker(this.#console);
    await this.#operation("destroy", (onOutput) =>
      this.#stack.destroy({ onOutput, onEvent: tracker.event, signal, suppressProgress: true, color: "never" }),
    );
  }

  /** Where a killed command left operations unfinished, finds out in the cluster how they ended. */
  async #settle(signal: AbortSignal): Promise<void> {
    const exported = await explained(this.name, () => this.#stack.exportStack());
    const state = settled(exported.deployment);
    if (state === undefined) return;
    const { deployment, unfinished, unknown } = state;
    this.#console.warn(
      `a command on stack ${this.name} ended early, at ${unfinished.join(", ")}; how that ended is read from the cluster`,
    );
    for (const urn of unknown) {
      this.#console.warn(`${urn} may exist; once you have looked, \`pulumi refresh\` asks what to do with it`);
    }
    const tracker = new ResourceTracker(this.#console);
    await this.#operation("stack import", () => this.#stack.importStack({ ...exported, deployment }));
    await this.#operation("refresh", (onOutput) =>
      this.#stack.refresh({ onOutput, onEvent: tracker.event, signal, suppressProgress: true, color: "never" }),
    );
  }

  /** Forgets the stack, its history and its configuration. */
  async remove(): Promise<void> {
    await this.#stack.workspace.removeStack(this.name);
  }

  async #operation<Result>(what: string, start: (onOutput: (text: string) => void) => Promise<Result>) {
    const output: string[] = [];
    const attempt = () => start((text) => void output.push(text));
    try {
      return await attempt().catch(async (error: unknown) => {
        await this.#unlock(error);
        return await attempt();
      });
    } catch (error) {
      if (error instanceof RunFailure) throw error;
      throw new RunFailure(`pulumi ${what} of stack ${this.name} failed\n${failureText(output.join(""), error)}`, {
        cause: error,
      });
    }
  }

  /**
   * Removes the lock of a command that is gone.
   *
   * @throws the error itself when it is about something else
   * @throws RunFailure when a command that lives, or one on another machine, holds the stack
   */
  async #unlock(error: unknown): Promise<void> {
    if (!(error instanceof ConcurrentUpdateError)) throw error;
    const holders = livingHolders(messageOf(error));
    if (holders === undefined) throw error;
    if (holders.length > 0) {
      throw new RunFailure(
        `The stack ${this.name} is being worked on by ${holders.join(" and ")}. Wait until that has ended; ` +
          `if it never will, \`orrery env\` and \`pulumi cancel -s ${this.name}\` remove its lock.`,
      );
    }
    this.#console.warn(`stack ${this.name} was left locked by a command that ended early; the lock is removed`);
    await this.#stack.cancel();
  }
}

async function workspaceOf(settings: PulumiSettings): Promise<LocalWorkspace> {
  Object.assign(process.env, { PATH: settings.env.PATH ?? process.env.PATH });
  const pulumiCommand = await PulumiCommand.get();
  return await LocalWorkspace.create({ workDir: projectFolder, envVars: { ...settings.env }, pulumiCommand });
}

/**
 * A stack that is to be made must not find a file with another stack's encryption salt and secrets: one of another
 * ORRERY_HOME, or of one that is gone.
 */
async function requireOwnStackFile(name: string): Promise<void> {
  const text = await readFile(join(projectFolder, stackFile(name)), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  if (/^encryptionsalt:/m.test(text)) {
    throw foreignStackFile(name);
  }
}

const stackFile = (name: string) => join("stacks", `Pulumi.${name}.yaml`);

function foreignStackFile(name: string, cause?: unknown): EnvironmentError {
  return new EnvironmentError(
    `The stack file ${stackFile(name)} belongs to a stack of another ORRERY_HOME: this one cannot read its secrets.`,
    `Set ORRERY_HOME to the one it was made with or, if that stack is gone, remove it: rm ${stackFile(name)}`,
    { cause },
  );
}

async function explained<Result>(name: string, action: () => Promise<Result>): Promise<Result> {
  try {
    return await action();
  } catch (error) {
    throw explain(name, error);
  }
}

function explain(name: string, error: unknown): Error {
  const text = messageOf(error);
  if (text.includes("incorrect passphrase") || text.includes("decrypt")) {
    return foreignStackFile(name, error);
  }
  return error instanceof Error ? error : new Error(text);
}

/** The part of pulumi's output that says what went wrong: its diagnostics, or all of it. */
function failureText(output: string, error: unknown): string {
  const diagnostics = output.indexOf("Diagnostics:");
  const text = diagnostics >= 0 ? output.slice(diagnostics) : output;
  const outputs = text.search(/^(Outputs|Resources):/m);
  const relevant = (outputs > 0 ? text.slice(0, outputs) : text).trim();
  return relevant === "" ? messageOf(error) : relevant;
}

/** Shows which resources are being worked on. */
class ResourceTracker {
  readonly #console: Console;
  readonly #pending = new Map<string, string>();
  #done = 0;

  constructor(console: Console) {
    this.#console = console;
  }

  readonly event = (event: EngineEvent): void => {
    const before = event.resourcePreEvent?.metadata;
    if (before !== undefined && before.op !== "same") {
      this.#pending.set(before.urn, `${verbs[before.op] ?? before.op} ${before.urn.split("::").at(-1)}`);
    }
    const after = event.resOutputsEvent?.metadata ?? event.resOpFailedEvent?.metadata;
    if (after !== undefined && this.#pending.delete(after.urn)) {
      this.#done += 1;
    }
    const [current] = [...this.#pending.values()].slice(-1);
    if (current !== undefined) {
      this.#console.live(`${this.#done} resources done, ${this.#pending.size} under way: ${current}`);
    }
  };
}

const verbs: Readonly<Record<string, string>> = {
  create: "creating",
  update: "updating",
  delete: "deleting",
  replace: "replacing",
  "create-replacement": "creating",
  "delete-replaced": "deleting",
};
