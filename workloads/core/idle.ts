import { messageOf } from "../../schema/errors.ts";
import type { WorkerResult } from "../../schema/results.ts";
import { type Clock, sleepUntil } from "./clock.ts";
import type { ConductorClient } from "./conductor-client.ts";
import { EventLoopWatch } from "./health.ts";
import { emptyHistogram, recordUs, summaryMs } from "./histogram.ts";
import { log } from "./log.ts";

const pauseUs = 10_000;
/** The load must find the event loop free. */
const marginUs = 50_000;
/** A shorter window says nothing. */
const leastUs = 200_000;

/**
 * How noisy the machine is with nothing to do: from now until shortly before the load starts, how late the event loop is
 * woken up, and how long the conductor takes to tell the time. Undefined where too little time is left.
 */
export async function watchIdle(
  clock: Clock,
  startUs: number,
  conductor: Pick<ConductorClient, "roundTripMs">,
  stop: AbortSignal,
): Promise<WorkerResult["health"]["idle"]> {
  const fromUs = clock.nowUs();
  const endUs = startUs - marginUs;
  if (endUs - fromUs < leastUs) {
    return undefined;
  }
  const limit = AbortSignal.any([stop, AbortSignal.timeout(Math.ceil((endUs - fromUs) / 1000))]);
  const eventLoop = new EventLoopWatch();
  const roundTrips = emptyHistogram();
  eventLoop.start();
  try {
    while (clock.nowUs() < endUs && !stop.aborted) {
      recordUs(roundTrips, Math.round((await conductor.roundTripMs(limit)) * 1000));
      await sleepUntil(clock, Math.min(endUs, clock.nowUs() + pauseUs), stop);
    }
  } catch (error) {
    if (!limit.aborted) {
      log("warn", "the idle window has no round trips", { error: messageOf(error) });
    }
  }
  await sleepUntil(clock, endUs, stop);
  return {
    windowMs: (clock.nowUs() - fromUs) / 1000,
    eventLoopDelayMs: eventLoop.stop(),
    roundTripMs: roundTrips.totalCount === 0 ? null : summaryMs(roundTrips),
  };
}
