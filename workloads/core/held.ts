import type { WorkerResult } from "../../schema/results.ts";
import type { Endpoint } from "../../schema/run.ts";
import { type Clock, sleepUntil } from "./clock.ts";
import type { Connector } from "./connector.ts";

type Held = NonNullable<WorkerResult["held"]>;

interface Count {
  readonly count: number | null;
  readonly atUs: number;
}

/**
 * How many events each member holds when the measure phase begins, and when it ends. A member that does not answer has
 * no count.
 */
export async function watchHeld(
  held: NonNullable<Connector["held"]>,
  endpoints: readonly Endpoint[],
  clock: Clock,
  span: { readonly fromUs: number; readonly toUs: number },
  stop: AbortSignal,
): Promise<Held> {
  const ask = (): Promise<Count[]> =>
    Promise.all(
      endpoints.map(async (endpoint) => {
        const count = await held(endpoint).catch(() => null); // whatever it is, the member does not tell now
        return { count, atUs: clock.nowUs() };
      }),
    );
  await sleepUntil(clock, span.fromUs, stop);
  const before = await ask();
  await sleepUntil(clock, span.toUs, stop);
  const after = await ask();
  return endpoints.map(({ ordinal }, index) => ({
    ordinal,
    before: before[index]?.count ?? null,
    after: after[index]?.count ?? null,
    seconds: Math.max(0, (after[index]?.atUs ?? 0) - (before[index]?.atUs ?? 0)) / 1e6,
  }));
}
