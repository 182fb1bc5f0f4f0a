import { hostname } from "node:os";
import { z } from "zod";

/**
 * What a killed command leaves in a stack: the lock of a process that is gone, and operations of which nobody wrote
 * down how they ended.
 */

const locked = /created by \S*@(?<host>\S+) \(pid (?<pid>\d+)\)/g;

/**
 * Processes that hold the stack, as Pulumi's file backend names them when it refuses to start beside them.
 *
 * @returns those that live; what another machine holds counts as alive. Undefined when the text names none
 */
export function livingHolders(refusal: string): string[] | undefined {
  const holders = [...refusal.matchAll(locked)].map(({ groups }) => ({
    host: groups?.host ?? "",
    pid: Number(groups?.pid),
  }));
  if (holders.length === 0) return undefined;
  const living = holders.filter(({ host, pid }) => host !== hostname() || isAlive(pid));
  return living.map(({ host, pid }) => `process ${pid} on ${host}`);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // somebody else's, but alive
  }
}

const resourceSchema = z.looseObject({ urn: z.string(), type: z.string(), inputs: z.unknown().optional() });
const stateSchema = z.looseObject({
  resources: z.array(resourceSchema).default([]),
  pending_operations: z.array(z.looseObject({ resource: resourceSchema, type: z.string() })).default([]),
});
const namedSchema = z.object({ metadata: z.object({ name: z.string(), namespace: z.string().optional() }) });

/** A state that says of every unfinished operation what is to be looked at in the cluster. */
export interface SettledState {
  readonly deployment: Readonly<Record<string, unknown>>;
  /** Names of the resources whose operations were unfinished. */
  readonly unfinished: readonly string[];
  /** URNs of those that were being created under names nobody here can know; they stay unfinished. */
  readonly unknown: readonly string[];
}

/**
 * Takes resources that were being created for created, so that a refresh finds out whether they are. What was being
 * changed or deleted is in the state already. `pulumi refresh --import-pending-creates` does the same with ids that
 * people type; those of Kubernetes objects are their names.
 *
 * @param deployment the `deployment` of `pulumi stack export`
 * @returns undefined when nothing is unfinished
 */
export function settled(deployment: unknown): SettledState | undefined {
  const state = stateSchema.parse(deployment ?? {});
  if (state.pending_operations.length === 0) return undefined;
  const known = new Set(state.resources.map(({ urn }) => urn));
  const created: unknown[] = [];
  const remaining: typeof state.pending_operations = [];
  for (const operation of state.pending_operations) {
    if (operation.type !== "creating" || operation.resource.type.startsWith("pulumi:providers:")) continue;
    const id = objectId(operation.resource);
    if (id === undefined) {
      remaining.push(operation);
      continue;
    }
    const { resource } = operation;
    // Where the old one of a replacement is still there, the new one is made again: this one is to be deleted.
    const superfluous = known.has(resource.urn) ? { delete: true } : {};
    created.push({ ...resource, ...superfluous, custom: true, id, outputs: resource.inputs });
  }
  return {
    deployment: { ...state, resources: [...state.resources, ...created], pending_operations: remaining },
    unfinished: state.pending_operations.map(({ resource }) => lastPart(resource.urn)),
    unknown: remaining.map(({ resource }) => resource.urn),
  };
}

/** `namespace/name`, or `name` of an object without a namespace: the plugin's ids. */
function objectId({ type, inputs }: z.output<typeof resourceSchema>): string | undefined {
  const { data } = namedSchema.safeParse(inputs);
  if (data === undefined || !type.startsWith("kubernetes:")) return undefined;
  const { name, namespace } = data.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

const lastPart = (urn: string) => urn.split("::").at(-1) ?? urn;
