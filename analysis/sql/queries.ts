/** A query with a name. */
interface NamedQuery {
  readonly description: string;
  readonly sql: string;
}

/**
 * The numbers of Keramik's analysis notebook (success percentage, durations by percentile, rates by request and result,
 * rate over time) and of its list of comparisons (time from accept on one node to readable on another), of the measure
 * phase. A request there (path and method) is an operation here. Percentiles are by nearest rank over the raw events.
 */
export const namedQueries = {
  "keramik-summary": {
    description: "requests by operation: totals, success in percent, and rates over the measure phase",
    sql: `SELECT e.run, operation, count(*) AS requests,
  count(*) FILTER (outcome = 'ok') AS succeeded,
  count(*) FILTER (outcome <> 'ok') AS failed,
  100.0 * count(*) FILTER (outcome = 'ok') / count(*) AS success_percent,
  any_value(measure_to_us - measure_from_us) / 1e6 AS duration_s,
  count(*) / (any_value(measure_to_us - measure_from_us) / 1e6) AS requests_per_s,
  count(*) FILTER (outcome = 'ok') / (any_value(measure_to_us - measure_from_us) / 1e6) AS succeeded_per_s,
  count(*) FILTER (outcome <> 'ok') / (any_value(measure_to_us - measure_from_us) / 1e6) AS failed_per_s
FROM events e JOIN runs USING (run) WHERE phase = 'measure' GROUP BY ALL ORDER BY ALL`,
  },
  "keramik-durations": {
    description: "durations by operation: percentiles from the intended send time, and as a waiting driver sees them",
    sql: `SELECT run, operation, unnest([0.5, 0.75, 0.9, 0.95, 0.99, 0.999]) AS percentile,
  unnest(quantile_disc(latency_us, [0.5, 0.75, 0.9, 0.95, 0.99, 0.999])) / 1e3 AS latency_ms,
  unnest(quantile_disc(service_us, [0.5, 0.75, 0.9, 0.95, 0.99, 0.999])) / 1e3 AS service_ms
FROM events WHERE phase = 'measure' GROUP BY run, operation ORDER BY run, operation, percentile`,
  },
  "keramik-nodes": {
    description: "requests by member and operation: success in percent, well answered per second, and percentiles",
    sql: `SELECT e.run, endpoint AS member, operation, count(*) AS requests,
  100.0 * count(*) FILTER (outcome = 'ok') / count(*) AS success_percent,
  count(*) FILTER (outcome = 'ok') / (any_value(measure_to_us - measure_from_us) / 1e6) AS succeeded_per_s,
  ${[0.5, 0.9, 0.95, 0.99, 0.999].map((share) => `quantile_disc(latency_us, ${share}) / 1e3 AS p${String(share * 100).replace(".", "")}_ms`).join(",\n  ")}
FROM events e JOIN runs USING (run) WHERE phase = 'measure' GROUP BY e.run, endpoint, operation ORDER BY ALL`,
  },
  "keramik-minutes": {
    description: "requests by operation, result and minute of the measure phase, by time of answer",
    sql: `SELECT e.run, operation, outcome, CAST((completed_us - measure_from_us) // 60000000 AS INTEGER) AS minute,
  count(*) AS requests
FROM events e JOIN runs USING (run) WHERE completed_us >= measure_from_us AND completed_us < measure_to_us
GROUP BY ALL ORDER BY ALL`,
  },
  "keramik-run-time": {
    description:
      "when each worker sent first and last and had its last answer, beside the run time (warm-up and measure)",
    sql: `SELECT e.run, worker, any_value(measure_to_us - started_us) / 1e6 AS run_time_s,
  min(sent_us - started_us) / 1e6 AS first_sent_s, max(sent_us - started_us) / 1e6 AS last_sent_s,
  max(completed_us - started_us) / 1e6 AS ended_s,
  100.0 * (max(completed_us - measure_to_us)) / any_value(measure_to_us - started_us) AS off_percent
FROM events e JOIN runs USING (run) GROUP BY e.run, worker ORDER BY ALL`,
  },
  "keramik-replication": {
    description: "time from a write's acknowledgement until it shows at each member, by percentile, and how many did",
    sql: `WITH spread AS (SELECT *, CASE WHEN seen_us IS NULL THEN NULL ELSE greatest(0, seen_us - accepted_us) END AS after_us
  FROM replication WHERE phase = 'measure')
SELECT run, member, count(*) AS writes, 100.0 * count(after_us) / count(*) AS seen_percent,
  count(*) FILTER (state = 'unknown') AS unknown,
  ${[0.5, 0.9, 0.95, 0.99, 0.999].map((share) => `quantile_disc(after_us, ${share}) / 1e3 AS p${String(share * 100).replace(".", "")}_ms`).join(",\n  ")}
FROM spread GROUP BY run, member ORDER BY run, member`,
  },
} as const satisfies Readonly<Record<string, NamedQuery>>;

export type QueryName = keyof typeof namedQueries;
