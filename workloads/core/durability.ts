import { createHash } from "node:crypto";
import type { WorkerResult } from "../../schema/results.ts";

/** A write that was tried; µs on one clock. */
export interface Write {
  /** Null for a delete. */
  readonly value: string | null;
  readonly startUs: number;
  /** When it was acknowledged; infinity when it never was. */
  readonly acknowledgedUs: number;
  /** When it can no longer take effect: as it was acknowledged, or never (see `WriteEffect.lingering`). */
  readonly settledUs: number;
}

const isAcknowledged = (write: Write): boolean => Number.isFinite(write.acknowledgedUs);

/**
 * The writes that may be the last one of their key: all but those that had settled before some acknowledged write
 * began. Writes that overlap may take effect in any order.
 */
export function possiblyFinal(writes: readonly Write[]): Write[] {
  const latestStartUs = writes.reduce(
    (latest, write) => (isAcknowledged(write) ? Math.max(latest, write.startUs) : latest),
    Number.NEGATIVE_INFINITY,
  );
  return writes.filter((write) => write.settledUs >= latestStartUs);
}

/** Values a key may have in the end; undefined when nothing was acknowledged, so that what was there before may be. */
export function possibleValues(writes: readonly Write[]): Set<string | null> | undefined {
  return writes.some(isAcknowledged) ? new Set(possiblyFinal(writes).map((write) => write.value)) : undefined;
}

/** Long values are kept as a digest, so that memory does not grow with their size. */
export function fingerprint(value: string | null): string | null {
  return value === null || value.length <= 128
    ? value
    : `${value.slice(0, 32)}… sha256:${createHash("sha256").update(value).digest("hex")}`;
}

/** Writes of one worker by key, less those that can no longer be the last; about one a key stays. */
export class WriteLog {
  readonly #keys = new Map<string, Write[]>();
  #acknowledged = 0;

  get acknowledged(): number {
    return this.#acknowledged;
  }

  add(key: string, write: Write): void {
    this.#acknowledged += isAcknowledged(write) ? 1 : 0;
    const kept = this.#keys.get(key) ?? [];
    this.#keys.set(key, possiblyFinal([...kept, { ...write, value: fingerprint(write.value) }]));
  }

  /** Keys with an acknowledged write, and what each may hold in the end. */
  *expected(): Generator<{ key: string; possible: ReadonlySet<string | null> }> {
    for (const [key, writes] of this.#keys) {
      const possible = possibleValues(writes);
      if (possible !== undefined) {
        yield { key, possible };
      }
    }
  }
}

type Durability = NonNullable<WorkerResult["durability"]>;

export interface ReadBackOptions {
  /** Reads in flight at a time. */
  readonly concurrency: number;
  /** Whether there is time for another attempt. */
  readonly timeLeft: () => boolean;
  /** Between two attempts at one key. */
  readonly pause: () => Promise<void>;
}

const mostExamples = 10;

/**
 * Reads every key with an acknowledged write back and compares. A key that cannot be read is counted as unread, with
 * nothing concluded from it.
 *
 * @returns the result, and why keys could not be read
 */
export async function checkDurability(
  log: WriteLog,
  readBack: (key: string) => Promise<string | null>,
  options: ReadBackOptions,
): Promise<{ result: Durability; reasons: string[] }> {
  const result: Durability = { acknowledged: log.acknowledged, keysChecked: 0, keysUnread: 0, lost: 0, examples: [] };
  const reasons = new Set<string>();
  const keys = log.expected();
  const check = async (): Promise<void> => {
    for (const { key, possible } of keys) {
      const read = await readPatiently(key, readBack, options);
      if ("reason" in read) {
        result.keysUnread += 1;
        reasons.add(read.reason);
        continue;
      }
      result.keysChecked += 1;
      const found = fingerprint(read.value);
      if (possible.has(found)) {
        continue;
      }
      result.lost += 1;
      if (result.examples.length < mostExamples) {
        result.examples.push({ key, expected: [...possible].map((value) => value ?? "(absent)"), found });
      }
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, check));
  return { result, reasons: [...reasons].slice(0, mostExamples) };
}

async function readPatiently(
  key: string,
  readBack: (key: string) => Promise<string | null>,
  { timeLeft, pause }: ReadBackOptions,
): Promise<{ value: string | null } | { reason: string }> {
  let reason = "there was no time left to read it";
  while (timeLeft()) {
    try {
      return { value: await readBack(key) };
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
      await pause();
    }
  }
  return { reason };
}
