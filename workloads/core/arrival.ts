import type { RunSpec } from "../../schema/run.ts";
import { seededRandom } from "./random.ts";

type Arrival = RunSpec["arrival"];
export type OpenArrival = Extract<Arrival, { kind: "open" }>;

/**
 * The intended times of one worker, µs after the shared start, in order: fixed by rate, process, seed and worker alone,
 * before anything is sent. Uniform: worker i of n takes every n-th slot of the whole rate, from slot i. Poisson: gaps
 * are exponential with the worker's share of the rate, so that all workers together are Poisson too.
 *
 * @param durationUs Times are below it.
 */
export function* intendedTimes(
  arrival: OpenArrival,
  place: { readonly seed: number; readonly worker: number; readonly workers: number },
  durationUs: number,
): Generator<number, void, undefined> {
  const { seed, worker, workers } = place;
  const slotUs = 1e6 / arrival.ratePerSecond;
  if (arrival.process === "uniform") {
    // Multiplied, not summed up: no rounding error grows with the run.
    for (let slot = worker; slot * slotUs < durationUs; slot += workers) {
      yield Math.floor(slot * slotUs);
    }
    return;
  }
  const random = seededRandom(seed, worker, arrivalStream);
  const meanUs = slotUs * workers;
  for (let atUs = 0; ; ) {
    atUs -= Math.log(1 - random.next()) * meanUs;
    if (atUs >= durationUs) {
      return;
    }
    yield Math.floor(atUs);
  }
}

/** Keeps the draws for gaps apart from those for operations and keys. */
const arrivalStream = 0x6172;

/** Users of one worker of a closed arrival; they differ by at most one between workers. */
export function usersOf(users: number, worker: number, workers: number): number {
  return Math.floor(users / workers) + (worker < users % workers ? 1 : 0);
}

/**
 * How many operations one worker may have in flight. Open: twice as many as arrive within the time-out on average, so
 * that a network that stands still drops nothing, not even in a Poisson burst; 20,000 at most, which one process can
 * hold. Closed: one for each user.
 */
export function maxInFlightOf(arrival: Arrival, worker: number, workers: number, timeoutMs: number): number {
  return arrival.kind === "closed"
    ? usersOf(arrival.users, worker, workers)
    : Math.min(20_000, Math.max(16, Math.ceil(2 * (arrival.ratePerSecond / workers) * (timeoutMs / 1000))));
}
