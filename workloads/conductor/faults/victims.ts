import { setTimeout as sleep } from "node:timers/promises";
import type { Endpoint, PlannedFault } from "../../../schema/run.ts";
import { seededRandom } from "../../core/random.ts";
import type { RoleWatch } from "./roles.ts";
import type { FaultScene, FaultTimes } from "./scene.ts";

export interface Victim {
  readonly endpoint: Endpoint;
  readonly role: string;
}

const pollMs = 20;
/** Keeps the choice of victims apart from other seeded choices. */
const victimStream = 0x6b69;

/** Members in the wanted role, waited for while it can still matter; or why there are none. */
export async function findVictims(
  fault: PlannedFault,
  { latestAtMs }: FaultTimes,
  scene: FaultScene,
  watch: RoleWatch,
): Promise<Victim[] | string> {
  const { target } = fault;
  const { endpoints, seed } = scene.spec;
  let seen = "no member answered";
  while (scene.now() < latestAtMs && !scene.over.aborted) {
    const members = watch.members();
    if ("ordinal" in target) {
      const endpoint = endpoints.find((candidate) => candidate.ordinal === target.ordinal);
      if (endpoint === undefined) {
        return `the network has no member with ordinal ${target.ordinal}`;
      }
      if (watch.complete) {
        const role = members.find((member) => member.pod === endpoint.pod)?.role ?? "unknown";
        return [{ endpoint, role }];
      }
    } else {
      const holders = endpoints
        .map((endpoint) => ({ endpoint, role: members.find((member) => member.pod === endpoint.pod)?.role ?? "" }))
        .filter(({ role }) => role === target.role);
      if (watch.complete && holders.length >= target.count) {
        return chooseSome(holders, target.count, seededRandom(seed, fault.index, victimStream));
      }
      seen = members.map(({ pod, role }) => `${pod} is ${role}`).join(", ") || seen;
    }
    await sleep(pollMs);
  }
  const wanted = "ordinal" in target ? `the member with ordinal ${target.ordinal}` : `${target.count} ${target.role}`;
  return `${wanted} could not be found before the measure phase ended: ${seen}`;
}

function chooseSome<T>(from: readonly T[], count: number, random: { below(limit: number): number }): T[] {
  const left = [...from];
  return Array.from({ length: count }, () => left.splice(random.below(left.length), 1)).flat();
}
