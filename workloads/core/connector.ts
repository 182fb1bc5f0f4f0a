import type { WorkerResult } from "../../schema/results.ts";
import type { Endpoint, RunSpec } from "../../schema/run.ts";
import type { Random } from "./random.ts";

/** What an operation is told about itself. */
export interface OperationContext {
  /** Number of this operation in its worker; never used twice in a run. */
  readonly sequence: number;
  /** For every choice the operation makes: the same for the same seed, worker and place in the schedule. */
  readonly random: Random;
  /** To be sent along with every request it makes: the trace context where it is traced, else nothing. */
  readonly headers: Readonly<Record<string, string>>;
  /** What is left of its time-out, in ms; the operation must settle by the end of it. */
  remainingMs(): number;
}

/** A write as the durability check sees it. */
export interface WriteEffect {
  readonly key: string;
  /** Null for a delete. */
  readonly value: string | null;
  /**
   * An attempt before the last one may still take effect at any time, because what became of it is not known. Then this
   * value stays a possible one for ever, even though the write was acknowledged.
   */
  readonly lingering: boolean;
}

/** How an operation ended. It never throws for what the network does; exceptions are defects and end the run. */
export interface Outcome {
  readonly ok: boolean;
  /** Why not, as a short stable word; absent exactly when `ok`. */
  readonly code?: string;
  /** Ordinal of the member that answered, or was tried, last. */
  readonly endpoint: number;
  /** Members tried. */
  readonly attempts: number;
  /** What it wrote or tried to write. */
  readonly write?: WriteEffect;
  /** Name under which feeds show what was written; there when it was acknowledged and the system has feeds. */
  readonly event?: string;
}

/** What one delivery of a feed tells. */
export interface FeedDelivery {
  /**
   * The feed flows. `whole`: whatever happened at the member since the last stream broke off, or before this one when
   * it is the first, will be told; otherwise events may have been missed.
   */
  opened(whole: boolean): void;
  /**
   * The event shows at the member.
   *
   * @param memberUs When it came to show there by the member's own clock, µs since 1970, if it says.
   * @param replayed It happened before this stream was opened, so that the time of arrival says little.
   */
  seen(event: string, memberUs?: number, replayed?: boolean): void;
  /**
   * Every event of which this is true shows at the member, and goes on to. For members that tell how far they are
   * instead of each event. `replayed` as for `seen`.
   */
  caughtUp(covers: (event: string) => boolean, replayed?: boolean): void;
  /** Where the next stream is to go on. */
  reached(cursor: string): void;
}

/** One member's feed as its connector sees it. */
export interface MemberFeed {
  readonly endpoint: Endpoint;
  /** Where the last stream had got to; null when there was none, or the system has no such places. */
  readonly cursor: string | null;
  /** Takes what arrived at one moment: all of it gets the time of the call, and its cost is counted. */
  delivered(take: (delivery: FeedDelivery) => void): void;
}

/** The client of one system, in one worker. */
export interface Connector {
  readonly operations: Readonly<Record<string, (context: OperationContext) => Promise<Outcome>>>;
  /** The request that does most of an operation, for views that know requests only. */
  readonly requests?: Readonly<Record<string, { readonly method: string; readonly path: string }>>;
  /**
   * Reads a key's final value linearizably, null when it is absent; there when the system can be checked for lost
   * writes.
   *
   * @throws Error when it cannot be read now; it is asked again.
   */
  readBack?(key: string): Promise<string | null>;
  /**
   * Follows the feed of one member over one stream, as long as it flows; the core calls again when it has ended. Only
   * events that this worker's operations name need be told, others may be. Where a system has feeds, time-to-replicate
   * can be measured.
   *
   * @throws Error saying why the stream could not be had or broke off.
   */
  observe?(feed: MemberFeed, signal: AbortSignal): Promise<void>;
  /**
   * How many events a member holds of what this worker answers for; there when the system can tell. Asked before and
   * after the measure phase.
   *
   * @throws Error when it cannot be told now.
   */
  held?(endpoint: Endpoint): Promise<number>;
  /**
   * Compares, before the load, how fast this connector and a sender that does nothing but send get the same through; there
   * when the run asks for it, in one worker alone. It takes no longer than `referenceLimitMs` of schema/run.ts.
   */
  reference?(stop: AbortSignal): Promise<NonNullable<WorkerResult["reference"]>>;
  /** Looks, once the load is over, whether what was created is there and anchored; there when the run asks for it. */
  lookAtAnchors?(stop: AbortSignal): Promise<NonNullable<WorkerResult["anchors"]>>;
  close(): Promise<void>;
}

export interface ConnectOptions {
  readonly worker: number;
  /** Folder with a file for each key of the network's credentials; absent where the network gives none. */
  readonly credentials?: string | undefined;
}

/** A member of a network as it sees itself. */
export interface Member {
  readonly pod: string;
  readonly ordinal: number;
  readonly role: string;
  /** Pod it takes for the leader; null when it knows none; absent where the system has no leader. */
  readonly leader?: string | null;
}

/** What `workloads/<system>/connector.ts` exports. */
export interface ConnectorModule {
  connect(spec: RunSpec, options: ConnectOptions): Promise<Connector>;
  /** Asks members for their roles; those that do not answer within a short time are left out. */
  roles(endpoints: readonly Endpoint[]): Promise<Member[]>;
}

/**
 * Loads a system's connector by its place: `workloads/<system>/connector.ts`.
 *
 * @throws Error naming the file when there is none or it is not one.
 */
export async function loadConnector(system: string): Promise<ConnectorModule> {
  if (!/^[a-z][a-z0-9-]*$/.test(system)) {
    throw new Error(`"${system}" is no system name; it names a folder of workloads/`);
  }
  const place = `workloads/${system}/connector.ts`;
  const file = new URL(`../${system}/connector.ts`, import.meta.url).href;
  const loaded: unknown = await import(file).catch((error: unknown) => {
    throw new Error(
      `no connector for the system "${system}": ${place} cannot be loaded. Add it, or build the driver image again.`,
      { cause: error },
    );
  });
  if (!isConnectorModule(loaded)) {
    throw new Error(`${place} must export connect(spec, options) and roles(endpoints)`);
  }
  return loaded;
}

function isConnectorModule(loaded: unknown): loaded is ConnectorModule {
  return (
    typeof loaded === "object" &&
    loaded !== null &&
    "connect" in loaded &&
    typeof loaded.connect === "function" &&
    "roles" in loaded &&
    typeof loaded.roles === "function"
  );
}
