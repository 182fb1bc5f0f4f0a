/** Drives real `pulumi` stacks with inline programs, each in its own namespace and state folder. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import * as k8s from "@pulumi/kubernetes";
import { type EngineEvent, LocalWorkspace, type OpMap, type Stack } from "@pulumi/pulumi/automation/index.js";
import { afterAll, beforeAll, describe } from "vitest";
import { acquireCluster, type ConformanceTarget } from "./cluster.ts";

/** What a program under test is given. */
export interface ProgramContext {
  readonly provider: k8s.Provider;
  readonly namespace: string;
  /** Resource options with the provider set. */
  readonly opts: { readonly provider: k8s.Provider };
}

/** A program under test; what it returns becomes the stack's outputs. */
export type Program = (context: ProgramContext) => Record<string, unknown> | undefined;

/** One resource step as the engine reported it. */
export interface Step {
  readonly op: string;
  readonly name: string;
  readonly type: string;
}

/** The outcome of one pulumi command. */
export interface Outcome {
  readonly changes: OpMap;
  readonly steps: readonly Step[];
  readonly outputs: Readonly<Record<string, { value: unknown; secret: boolean }>>;
  readonly text: string;
}

/** A pulumi command that failed, with everything it printed. */
export class CommandFailed extends Error {
  readonly text: string;
  constructor(text: string) {
    super(text);
    this.name = "CommandFailed";
    this.text = text;
  }
}

/** A resource as the state file has it. */
export interface StateResource {
  readonly urn: string;
  readonly type: string;
  readonly id?: string;
  readonly inputs: Record<string, unknown>;
  readonly outputs: Record<string, unknown>;
  readonly initErrors?: readonly string[];
}

/** Provider arguments besides the kubeconfig. */
export type ProviderSettings = Omit<k8s.ProviderArgs, "kubeconfig"> & { readonly kubeconfig?: string };

type Verb = "preview" | "up" | "refresh" | "destroy";

/** One stack with its namespace. */
export class TestStack {
  readonly namespace: string;
  readonly #stack: Stack;
  readonly #target: ConformanceTarget;
  readonly #stateFile: string;
  settings: ProviderSettings;

  constructor(stack: Stack, target: ConformanceTarget, namespace: string, stateFile: string) {
    this.#stateFile = stateFile;
    this.#stack = stack;
    this.#target = target;
    this.namespace = namespace;
    this.settings = {};
  }

  /** Sets the program for the commands that follow. */
  program(build: Program): this {
    const { settings, namespace } = this;
    const kubeconfig = settings.kubeconfig ?? readFileSync(this.#target.kubeconfig, "utf8");
    this.#stack.workspace.program = async () => {
      const provider = new k8s.Provider("under-test", { ...settings, kubeconfig });
      return build({ provider, namespace, opts: { provider } }) ?? {};
    };
    return this;
  }

  /**
   * Runs a command. When the inline program could not connect to the engine (a busy machine; nothing has been done
   * then), it is run once more.
   *
   * @throws CommandFailed when pulumi does.
   */
  async run(verb: Verb, options: { signal?: AbortSignal; onText?: (text: string) => void } = {}): Promise<Outcome> {
    try {
      return await this.#once(verb, options);
    } catch (error) {
      if (!(error instanceof CommandFailed) || !error.text.includes("UNAVAILABLE: No connection established"))
        throw error;
      console.log(`pulumi ${verb}: the program could not connect to the engine; once more`);
      return await this.#once(verb, options);
    }
  }

  async #once(verb: Verb, options: { signal?: AbortSignal; onText?: (text: string) => void } = {}): Promise<Outcome> {
    const steps: Step[] = [];
    let text = "";
    const common = {
      onEvent: (event: EngineEvent) => {
        const metadata = event.resourcePreEvent?.metadata;
        if (metadata !== undefined) {
          steps.push({ op: metadata.op, name: metadata.urn.split("::").at(-1) ?? "", type: metadata.type });
        }
      },
      onOutput: (piece: string) => {
        text += piece;
        options.onText?.(text);
      },
      onError: (piece: string) => {
        text += piece;
      },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    };
    try {
      if (verb === "preview") {
        const result = await this.#stack.preview(common);
        return { changes: result.changeSummary, steps, outputs: {}, text };
      }
      const result = await this.#stack[verb](common);
      const outputs = verb === "up" ? await this.#stack.outputs() : {};
      return { changes: result.summary.resourceChanges ?? {}, steps, outputs, text };
    } catch (error) {
      throw new CommandFailed(text === "" ? String(error) : text);
    }
  }

  /** Runs a command that must fail, and returns its failure. */
  async fails(
    verb: Verb,
    options: { signal?: AbortSignal; onText?: (text: string) => void } = {},
  ): Promise<CommandFailed> {
    try {
      await this.run(verb, options);
    } catch (error) {
      if (error instanceof CommandFailed) return error;
      throw error;
    }
    throw new Error(`pulumi ${verb} succeeded, although it should have failed`);
  }

  /** The state file as it lies on disk (an export through the automation API would decrypt its secrets). */
  stateText(): string {
    return readFileSync(this.#stateFile, "utf8");
  }

  /** Sets environment variables for the commands that follow. */
  environment(variables: Readonly<Record<string, string>>): void {
    this.#stack.workspace.envVars = { ...this.#stack.workspace.envVars, ...variables };
  }

  /** The stored resource with this logical name. */
  async resource(name: string): Promise<StateResource | undefined> {
    const { deployment } = await this.#stack.exportStack();
    const resources: StateResource[] = deployment.resources ?? [];
    return resources.find((each) => each.urn.endsWith(`::${name}`));
  }
}

/** What a test file gets. */
export interface Bench {
  target(): ConformanceTarget;
  /** Makes a stack in a namespace of its own; both are removed after the file. */
  stack(name: string): Promise<TestStack>;
}

let serial = 0;

/**
 * Declares a suite against the conformance cluster; without one the suite is skipped with its reason printed.
 * Everything made is destroyed afterwards.
 */
export function conformance(title: string, body: (bench: Bench) => void): void {
  const acquired = acquireCluster();
  if ("skipped" in acquired) {
    console.log(`skipped: ${title}: ${acquired.skipped}`);
    describe.skip(title, () => body({ target: unavailable, stack: unavailable }));
    return;
  }
  const { target } = acquired;
  describe(title, () => {
    const root = mkdtempSync(join(tmpdir(), "orrery-conformance-"));
    const stacks: TestStack[] = [];
    beforeAll(() => mkdir(join(root, "state")).then(() => undefined));
    afterAll(async () => {
      for (const each of stacks) {
        await target.core.deleteNamespace({ name: each.namespace }).catch((error: { code?: number }) => {
          if (error.code !== 404) throw error;
        });
      }
      rmSync(root, { recursive: true, force: true });
    }, 60_000);
    body({
      target: () => target,
      stack: async (name) => {
        const made = await makeStack(target, root, name);
        stacks.push(made);
        return made;
      },
    });
  });
}

function unavailable(): never {
  throw new Error("no conformance cluster");
}

async function makeStack(target: ConformanceTarget, root: string, name: string): Promise<TestStack> {
  serial += 1;
  const namespace = `conformance-${name}-${process.pid}-${serial}`;
  await target.core.createNamespace({ body: { metadata: { name: namespace } } });
  const workDir = join(root, "work", name);
  await mkdir(workDir, { recursive: true });
  const path = target.pluginDir === undefined ? "" : `${target.pluginDir}${delimiter}`;
  // The automation API looks pulumi up on this process's PATH, and pulumi looks the plugin up on its own.
  const envVars = {
    PATH: `${path}${process.env.PATH ?? ""}`,
    PULUMI_HOME: process.env.ORRERY_CONFORMANCE_PULUMI_HOME ?? join(root, "home"),
    PULUMI_BACKEND_URL: `file://${join(root, "state")}`,
    PULUMI_CONFIG_PASSPHRASE: "conformance",
    PULUMI_SKIP_UPDATE_CHECK: "true",
  };
  const stack = await LocalWorkspace.createStack(
    { stackName: name, projectName: "conformance", program: async () => ({}) },
    { envVars, workDir },
  );
  const stateFile = join(root, "state", ".pulumi", "stacks", "conformance", `${name}.json`);
  return new TestStack(stack, target, namespace, stateFile);
}
