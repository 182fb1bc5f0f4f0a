import { performance } from "node:perf_hooks";

/** Time as the core sees it: µs since 1970, never going back. Tests put a virtual one in its place. */
export interface Clock {
  nowUs(): number;
  /** Calls back once at that time, or as soon after it as can be; the result cancels it. */
  schedule(atUs: number, callback: () => void): () => void;
}

/** The machine's monotonic clock, pinned to the wall clock once, when the process started. */
export const systemClock: Clock = {
  nowUs: () => (performance.timeOrigin + performance.now()) * 1000,
  schedule: (atUs, callback) => {
    const timer = setTimeout(callback, Math.max(0, (atUs - systemClock.nowUs()) / 1000));
    return () => clearTimeout(timer);
  },
};

/** Wall clock minus monotonic clock, ms: constant unless somebody sets the time, or the machine sleeps. */
export function wallLeadMs(): number {
  return Date.now() - systemClock.nowUs() / 1000;
}

/** The conductor's clock, seen through this machine's: `offsetUs` is this clock minus the conductor's. */
export function shiftedClock(clock: Clock, offsetUs: number): Clock {
  return {
    nowUs: () => clock.nowUs() - offsetUs,
    schedule: (atUs, callback) => clock.schedule(atUs + offsetUs, callback),
  };
}

/** Resolves at that time, or at once when the signal aborts. */
export function sleepUntil(clock: Clock, atUs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const end = (): void => {
      cancel();
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const cancel = clock.schedule(atUs, end);
    signal?.addEventListener("abort", end, { once: true });
  });
}
