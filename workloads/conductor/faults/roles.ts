import { setTimeout as sleep } from "node:timers/promises";
import type { Endpoint } from "../../../schema/run.ts";
import type { ConnectorModule, Member } from "../../core/connector.ts";

const pollMs = 25;

/**
 * Asks every member for its role over and over, each on its own, so that one that hangs does not hold up what is known
 * of the others.
 */
export class RoleWatch {
  readonly #views = new Map<string, Member | undefined>();
  readonly #size: number;
  readonly #loops: Promise<void>[];
  readonly #ended = new AbortController();
  #lastSilentAtMs = new Map<string, number>();

  constructor(endpoints: readonly Endpoint[], roles: ConnectorModule["roles"], now: () => number) {
    this.#size = endpoints.length;
    this.#loops = endpoints.map(async (endpoint) => {
      while (!this.#ended.signal.aborted) {
        const [member] = await roles([endpoint]);
        this.#views.set(endpoint.pod, member);
        if (member === undefined) {
          this.#lastSilentAtMs.set(endpoint.pod, now());
        }
        await sleep(pollMs);
      }
    });
  }

  /** Every member has been asked at least once. */
  get complete(): boolean {
    return this.#views.size === this.#size;
  }

  /** Members that answered when they were asked last. */
  members(): Member[] {
    return [...this.#views.values()].filter((member) => member !== undefined);
  }

  /** When a member last gave no answer; undefined when it always did. */
  lastSilentAtMs(pod: string): number | undefined {
    return this.#lastSilentAtMs.get(pod);
  }

  /**
   * The leader a majority of all members agrees on and that takes itself for it, or undefined.
   *
   * @param excluded Pods whose word counts for nothing, since they are about to die.
   */
  leader(excluded: ReadonlySet<string> = new Set()): string | undefined {
    const members = this.members().filter((member) => !excluded.has(member.pod));
    return members.find(
      (candidate) =>
        candidate.leader === candidate.pod &&
        members.filter((member) => member.leader === candidate.pod).length > this.#size / 2,
    )?.pod;
  }

  async end(): Promise<void> {
    this.#ended.abort();
    await Promise.all(this.#loops);
  }
}
