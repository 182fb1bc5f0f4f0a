import type { RunSpec } from "../../schema/run.ts";
import { intendedTimes, maxInFlightOf, usersOf } from "./arrival.ts";
import { weightedChoice } from "./choice.ts";
import type { Clock } from "./clock.ts";
import type { Connector, OperationContext, Outcome } from "./connector.ts";
import { type Random, seededRandom } from "./random.ts";

/** One operation that ended; times in µs since 1970, whole numbers. */
export interface Completed {
  readonly operation: string;
  readonly intendedUs: number;
  readonly sentUs: number;
  readonly completedUs: number;
  readonly outcome: Outcome;
}

/** Who is told what happens, as it happens. */
export interface LoadObserver {
  /** An operation was due; every one is either sent or dropped. */
  offered(operation: string, intendedUs: number): void;
  sent(operation: string, intendedUs: number): void;
  dropped(operation: string, intendedUs: number): void;
  completed(operation: Completed): void;
}

/** An operation at the moment it is sent. */
export interface Departure {
  readonly operation: string;
  readonly sequence: number;
  /** Its place in the schedule: the same for the same seed, whatever was answered. */
  readonly user: number;
  readonly turn: number;
  readonly intendedUs: number;
  readonly sentUs: number;
}

/** The trace of one operation. */
export interface OperationSpan {
  /** Headers that let a member of the network go on with the trace. */
  readonly headers: Readonly<Record<string, string>>;
  end(done: Completed): void;
}

/** Begins the trace of an operation; undefined when it is not traced. */
export type BeginSpan = (departure: Departure) => OperationSpan | undefined;

const noHeaders: Readonly<Record<string, string>> = Object.freeze({});

export interface LoadPlan {
  readonly spec: Pick<RunSpec, "seed" | "workers" | "operations" | "arrival" | "timeoutMs">;
  readonly worker: number;
  /** When the first operation may be due, and when none is any more; µs since 1970. */
  readonly startUs: number;
  readonly endUs: number;
}

/**
 * An operation that does not settle this long after its time-out is given up by the core: its connector is broken. Long
 * enough that a driver which is merely short of CPU is not taken for that.
 */
const overdueMs = 5_000;
/** How often that, and the end of the last operation, is looked for. */
const sweepUs = 5_000;

/** A place in the schedule and the choices made there. */
interface Place {
  readonly user: number;
  readonly turn: number;
  readonly random: Random;
}

/** What is in flight: how to give it up, and since when. */
interface Flight {
  readonly sentUs: number;
  readonly giveUp: () => void;
}

/**
 * Offers one worker's share of the load, and waits for the last answer.
 *
 * Open arrival never waits for answers: at each tick everything that is due is sent, and what would exceed the limit of
 * operations in flight is counted as dropped. Closed arrival: each user sends its next operation a think time after
 * its last was answered; that moment is the intended time.
 */
export class Load {
  readonly #plan: LoadPlan;
  readonly #operations: Connector["operations"];
  readonly #clock: Clock;
  readonly #observer: LoadObserver;
  readonly #beginSpan: BeginSpan;
  readonly #choose: (random: Random) => string;
  readonly #flights = new Set<Flight>();
  #sequence = 0;
  #hung = 0;
  #stopped = false;
  #stop: () => void = () => undefined;
  #defect: unknown;
  readonly maxInFlight: number;

  constructor(
    plan: LoadPlan,
    operations: Connector["operations"],
    clock: Clock,
    observer: LoadObserver,
    beginSpan: BeginSpan = () => undefined,
  ) {
    const { spec, worker } = plan;
    this.#plan = plan;
    this.#operations = operations;
    this.#clock = clock;
    this.#observer = observer;
    this.#beginSpan = beginSpan;
    this.#choose = weightedChoice(spec.operations);
    this.maxInFlight = maxInFlightOf(spec.arrival, worker, spec.workers, spec.timeoutMs);
    for (const name of Object.keys(spec.operations)) {
      if (operations[name] === undefined) {
        throw new Error(
          `the connector has no operation "${name}"; it has ${Object.keys(operations).join(", ")}. Use one of these in workload.operations.`,
        );
      }
    }
  }

  get inFlight(): number {
    return this.#flights.size;
  }

  /** Operations whose connector never settled; what they did is not known. */
  get hung(): number {
    return this.#hung;
  }

  /** Ends the load early: nothing more is sent. */
  stop(): void {
    this.#stopped = true;
    this.#stop();
  }

  /** @throws whatever a connector's operation threw: a defect, not an outcome. */
  async run(): Promise<void> {
    const { arrival } = this.#plan.spec;
    await (arrival.kind === "open" ? this.#runOpen(arrival) : this.#runClosed(arrival.users, arrival.thinkTimeMs));
    await this.#sweepUntil(() => this.#flights.size === 0);
    if (this.#defect !== undefined) {
      throw this.#defect;
    }
  }

  #runOpen(arrival: Extract<RunSpec["arrival"], { kind: "open" }>): Promise<void> {
    const { spec, worker, startUs, endUs } = this.#plan;
    const times = intendedTimes(arrival, { seed: spec.seed, worker, workers: spec.workers }, endUs - startUs);
    return new Promise((resolve) => {
      let due = times.next();
      let cancel: () => void = () => undefined;
      this.#stop = () => {
        cancel();
        resolve();
      };
      const tick = (): void => {
        const nowUs = this.#now();
        while (due.done !== true && startUs + due.value <= nowUs && !this.#stopped) {
          this.#arrive(startUs + due.value);
          due = times.next();
        }
        this.#giveUpOverdue();
        if (due.done === true || this.#stopped) {
          resolve();
        } else {
          cancel = this.#clock.schedule(startUs + due.value, tick);
        }
      };
      tick();
    });
  }

  #arrive(intendedUs: number): void {
    const place = this.#placeOf(0, this.#sequence);
    const operation = this.#choose(place.random);
    this.#observer.offered(operation, intendedUs);
    if (this.#flights.size >= this.maxInFlight) {
      this.#sequence += 1;
      this.#observer.dropped(operation, intendedUs);
      return;
    }
    void this.#send(operation, intendedUs, place);
  }

  async #runClosed(users: number, thinkTimeMs: number): Promise<void> {
    const { spec, worker, startUs, endUs } = this.#plan;
    const stopped = new Promise<void>((resolve) => {
      this.#stop = resolve;
    });
    const live = async (user: number): Promise<void> => {
      let freeUs = startUs;
      for (let turn = 0; freeUs < endUs && !this.#stopped; turn += 1) {
        await Promise.race([this.#until(freeUs), stopped]);
        if (this.#stopped) {
          return;
        }
        const place = this.#placeOf(user + 1, turn);
        const operation = this.#choose(place.random);
        this.#observer.offered(operation, freeUs);
        const endedUs = await this.#send(operation, freeUs, place);
        freeUs = endedUs + Math.round(thinkTimeMs * 1000);
      }
    };
    let over = false;
    const lives = Array.from({ length: usersOf(users, worker, spec.workers) }, (_, user) => live(user));
    const all = Promise.all(lives).finally(() => {
      over = true;
    });
    await Promise.all([all, this.#sweepUntil(() => over)]);
  }

  /** Sends one operation and reports its end; the end's time. */
  #send(operation: string, intendedUs: number, { user, turn, random }: Place): Promise<number> {
    const sequence = this.#sequence;
    this.#sequence += 1;
    const sentUs = Math.max(intendedUs, this.#now());
    const deadlineUs = sentUs + this.#plan.spec.timeoutMs * 1000;
    const span = this.#beginSpan({ operation, sequence, user, turn, intendedUs, sentUs });
    const context: OperationContext = {
      sequence,
      random,
      headers: span?.headers ?? noHeaders,
      remainingMs: () => (deadlineUs - this.#clock.nowUs()) / 1000,
    };
    this.#observer.sent(operation, intendedUs);
    return new Promise((resolve) => {
      const end = (outcome: Outcome): void => {
        if (!this.#flights.delete(flight)) {
          return;
        }
        const completedUs = Math.max(sentUs, this.#now());
        const done = { operation, intendedUs, sentUs, completedUs, outcome };
        this.#observer.completed(done);
        span?.end(done);
        resolve(completedUs);
      };
      const flight: Flight = {
        sentUs,
        giveUp: () => {
          this.#hung += 1;
          end({ ok: false, code: "timeout", endpoint: -1, attempts: 0 });
        },
      };
      this.#flights.add(flight);
      this.#perform(operation, context).then(end, (error: unknown) => {
        this.#defect ??= error;
        end({ ok: false, code: "defect", endpoint: -1, attempts: 0 });
        this.stop();
      });
    });
  }

  async #perform(operation: string, context: OperationContext): Promise<Outcome> {
    const perform = this.#operations[operation];
    if (perform === undefined) {
      throw new Error(`the connector has no operation "${operation}"`);
    }
    return await perform(context);
  }

  #giveUpOverdue(): void {
    const beforeUs = this.#now() - (this.#plan.spec.timeoutMs + overdueMs) * 1000;
    for (const flight of this.#flights) {
      if (flight.sentUs > beforeUs) {
        return; // a set keeps the order of sending
      }
      flight.giveUp();
    }
  }

  /** Gives up overdue operations while nothing else ticks. */
  async #sweepUntil(over: () => boolean): Promise<void> {
    while (!over()) {
      this.#giveUpOverdue();
      await this.#until(this.#clock.nowUs() + sweepUs);
    }
  }

  #until(atUs: number): Promise<void> {
    return this.#clock.nowUs() >= atUs
      ? Promise.resolve()
      : new Promise((resolve) => void this.#clock.schedule(atUs, resolve));
  }

  #placeOf(user: number, turn: number): Place {
    return { user, turn, random: seededRandom(this.#plan.spec.seed, this.#plan.worker, user, turn) };
  }

  #now(): number {
    return Math.floor(this.#clock.nowUs());
  }
}
