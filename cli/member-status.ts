import type { V1Pod } from "@kubernetes/client-node";
import type { Endpoint } from "../schema/run.ts";

/** A member of a deployed network as the cluster sees it. */
export interface MemberStatus {
  readonly ordinal: number;
  readonly pod: string;
  readonly ready: boolean;
  /** What its pod is doing, in Kubernetes' words; `missing` where there is none. */
  readonly phase: string;
  readonly restarts: number;
  /** Other members it has a connection to; null where it was not asked or did not answer. */
  readonly connections: number | null;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Joins members with their pods and with whom each is connected to, both by the pod's name. */
export function memberStatuses(
  members: readonly Endpoint[],
  pods: readonly V1Pod[],
  connected: ReadonlyMap<string, readonly string[]>,
): MemberStatus[] {
  const byName = new Map(pods.map((pod) => [pod.metadata?.name ?? "", pod]));
  const peerIds = new Set(members.flatMap(({ attributes }) => attributes?.peerId ?? []));
  return members.map(({ ordinal, pod: name, attributes = {} }) => {
    const status = byName.get(name)?.status;
    const containers = [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])];
    const peers = connected.get(name);
    return {
      ordinal,
      pod: name,
      ready: status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false,
      phase: status?.phase ?? "missing",
      restarts: containers.reduce((sum, { restartCount }) => sum + restartCount, 0),
      connections: peers === undefined ? null : new Set(peers.filter((id) => peerIds.has(id))).size,
      attributes,
    };
  });
}

/** Lines for people: how many are ready, then one a member. */
export function statusText(members: readonly MemberStatus[]): string {
  const ready = members.filter((member) => member.ready).length;
  const width = Math.max(...members.map(({ pod }) => pod.length), 3);
  const lines = members.map(({ pod, ready: isReady, phase, restarts, connections, attributes }) => {
    const state = isReady ? "ready" : `not ready (${phase})`;
    const parts = [
      state.padEnd(20),
      `restarts ${restarts}`.padEnd(12),
      ...(connections === null ? [] : [`connected to ${connections}`.padEnd(16)]),
      attributes.peerId ?? "",
    ];
    return `${pod.padEnd(width)}  ${parts.join("  ")}`.trimEnd();
  });
  return [`${ready} of ${members.length} members are ready`, ...lines].join("\n");
}
