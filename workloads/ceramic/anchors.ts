import { setTimeout as sleep } from "node:timers/promises";
import type { WorkerResult } from "../../schema/results.ts";
import { type Random, seededRandom } from "../core/random.ts";
import type { CeramicPeer } from "./peer.ts";

type Anchors = NonNullable<WorkerResult["anchors"]>;

/** Confidence of 99 % as a standard score; 0.95 would be 1.96. */
const standardScore = 2.576;
const margin = 0.02;
const requestLimitMs = 15_000;
const concurrency = 8;
/** A peer asks for its anchors about once a minute, so looking more often tells nothing. */
const lookAgainMs = 5_000;

/**
 * How many of so many documents have to be looked at to know a share among them to 2 % with a confidence of 99 %
 * (Cochran's formula for the share that is hardest to know, a half, with its correction for finite populations).
 */
export function sampleSize(population: number): number {
  const endless = (standardScore ** 2 * 0.25) / margin ** 2;
  return Math.min(population, Math.ceil(endless / (1 + (endless - 1) / population)));
}

/** So many of a list, each as likely as any other; by the seed. */
export function sampleOf<T>(list: readonly T[], size: number, random: Random): T[] {
  const left = [...list];
  for (let place = 0; place < Math.min(size, left.length); place += 1) {
    const drawn = place + random.below(left.length - place);
    [left[place], left[drawn]] = [left[drawn] as T, left[place] as T];
  }
  return left.slice(0, size);
}

/**
 * Looks at a sample of the documents that were created: whether the last peer has each, and, after a wait, what the
 * first peer says of its anchor. The wait is over early when no anchor is on its way any more.
 */
export async function lookAtAnchors(
  created: readonly string[],
  peers: readonly CeramicPeer[],
  { waitMs, seed, stop }: { readonly waitMs: number; readonly seed: number; readonly stop: AbortSignal },
): Promise<Anchors> {
  const sample = sampleOf(created, sampleSize(created.length), seededRandom(seed, created.length));
  const found: Anchors = {
    created: created.length,
    sampled: sample.length,
    unread: 0,
    anchored: 0,
    pending: 0,
    failed: 0,
    notRequested: 0,
  };
  const [first, last] = [peers[0], peers.at(-1)];
  const there = new Set<string>();
  await each(sample, async (id) => {
    const reply = await last?.read(id, { limitMs: requestLimitMs });
    if (reply?.ok === true) {
      there.add(id);
    }
  });
  await untilSettled([...there], first, waitMs, stop);
  await each([...there], async (id) => {
    const reply = await first?.read(id, { limitMs: requestLimitMs });
    if (reply?.ok === true) {
      found[kindOf(reply.value.anchorStatus)] += 1;
    } else {
      there.delete(id);
    }
  });
  return { ...found, unread: sample.length - there.size };
}

/** Goes on with the first document whose anchor is on its way, one request each time, until there is none. */
async function untilSettled(
  documents: readonly string[],
  peer: CeramicPeer | undefined,
  waitMs: number,
  stop: AbortSignal,
): Promise<void> {
  const until = performance.now() + waitMs;
  let settled = 0;
  while (settled < documents.length && !stop.aborted) {
    const reply = await peer?.read(documents[settled] ?? "", { limitMs: requestLimitMs });
    if (reply?.ok === true && kindOf(reply.value.anchorStatus) !== "pending") {
      settled += 1;
      continue;
    }
    const leftMs = until - performance.now();
    if (leftMs <= 0) {
      return;
    }
    await sleep(Math.min(lookAgainMs, leftMs), undefined, { signal: stop }).catch(() => undefined); // the loop ends
  }
}

/** js-ceramic says `PENDING` of what is asked for, and `PROCESSING` or `READY` of what is on its way. */
function kindOf(status: string | undefined): "anchored" | "failed" | "notRequested" | "pending" {
  switch (status) {
    case "ANCHORED":
      return "anchored";
    case "FAILED":
      return "failed";
    case "NOT_REQUESTED":
    case undefined:
      return "notRequested";
    default:
      return "pending";
  }
}

async function each<T>(list: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const items = list.values();
  const turn = async (): Promise<void> => {
    for (const item of items) {
      await work(item);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, turn));
}
