import type { Summary } from "../schema/summary.ts";
import type { WholeRun } from "./checks/check.ts";

type Reference = NonNullable<Summary["reference"]>;

/**
 * The connector beside a sender that only sends: medians over the windows of each, and the ratio of the two rates. Why
 * there is none where a window was not completed; undefined where nobody compared.
 */
export function referenceOf({ workers }: Pick<WholeRun, "workers">): Reference | string | undefined {
  const found = workers.find(({ result }) => result.reference !== undefined)?.result.reference;
  if (found === undefined || found.problem !== undefined) {
    return found?.problem;
  }
  const { transfers, windows } = found;
  const side = (name: "raw" | "connector") => {
    const own = windows.filter(({ sender }) => sender === name);
    return {
      rate: median(own.map(({ seconds }) => transfers / seconds)),
      cpu_ms: median(own.map(({ cpuSeconds }) => (1000 * cpuSeconds) / transfers)),
    };
  };
  const [raw, connector] = [side("raw"), side("connector")];
  return { windows: windows.length / 2, transfers, raw, connector, ratio: connector.rate / raw.rate };
}

export function referenceMetrics(run: Pick<WholeRun, "workers">): Record<string, number> {
  const reference = referenceOf(run);
  return typeof reference === "object" ? { reference_ratio: reference.ratio, reference_rate: reference.raw.rate } : {};
}

/** The middle one, or the mean of the two in the middle. */
function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]];
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2;
}
