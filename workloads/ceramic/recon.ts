import type { Endpoint } from "../../schema/run.ts";

/** Counters of inserted events, as ceramic-one names it now and as it did. */
const counters = ["ceramic_one_store_key_value_insert_count_total", "ceramic_store_key_value_insert_count_total"];
const limitMs = 5_000;

/**
 * Events that ceramic-one came to store since it started, by its metrics.
 *
 * @throws Error when the network does not say where they are, or they are not among them
 */
export async function storedEvents({ pod, attributes }: Endpoint): Promise<number> {
  if (attributes?.metrics === undefined) {
    throw new Error(`the network does not say where the metrics of ${pod} are`);
  }
  const answer = await fetch(attributes.metrics, { signal: AbortSignal.timeout(limitMs) });
  return countIn(await answer.text());
}

/**
 * The counter in a text of Prometheus's exposition format, summed over its labels.
 *
 * @throws Error when it is not there
 */
export function countIn(text: string): number {
  for (const name of counters) {
    const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? ([0-9.e+]+)`, "gm"))].map(([, value]) =>
      Number(value),
    );
    if (values.length > 0) {
      return values.reduce((sum, value) => sum + value, 0);
    }
  }
  throw new Error(`there is no ${counters.join(" or ")} among the metrics`);
}
