import type { Clock } from "../../../../workloads/core/clock.ts";

interface Timer {
  readonly atUs: number;
  readonly callback: () => void;
}

/** Time that passes only from one timer to the next, so that what it measures is exact. */
export class VirtualClock implements Clock {
  #nowUs: number;
  #timers: Timer[] = [];

  constructor(nowUs = 0) {
    this.#nowUs = nowUs;
  }

  nowUs(): number {
    return this.#nowUs;
  }

  schedule(atUs: number, callback: () => void): () => void {
    const timer = { atUs: Math.max(atUs, this.#nowUs), callback };
    const before = this.#timers.findLastIndex((other) => other.atUs <= timer.atUs);
    this.#timers.splice(before + 1, 0, timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Runs timers in order until the work is done; what a timer sets off is finished before the next. */
  async runUntil(work: Promise<unknown>): Promise<void> {
    let done = false;
    const end = work.finally(() => {
      done = true;
    });
    end.catch(() => undefined);
    for (;;) {
      await new Promise(setImmediate);
      if (done) {
        await end;
        return;
      }
      const timer = this.#timers.shift();
      if (timer === undefined) {
        throw new Error("nothing is left to happen, and the work is not done");
      }
      this.#nowUs = timer.atUs;
      timer.callback();
    }
  }
}
