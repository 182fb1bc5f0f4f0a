import type { TracesFile } from "../../schema/observed.ts";

/** Made traces: a driver's span and a member's within it, for each operation one trace of each length in ms. */
export function tracesOf(operations: Readonly<Record<string, readonly number[]>>, startMs = 0): TracesFile {
  const traces = Object.entries(operations).flatMap(([operation, lengths]) =>
    lengths.map((lengthMs, index): TracesFile["traces"][number] => {
      const id = `${operation}-${index}`;
      const startUs = (startMs + index * 100) * 1000;
      const span = { operation, failed: false, attributes: { "orrery.phase": "measure" } };
      return {
        id,
        spans: [
          { ...span, id: `${id}-a`, parent: null, service: "orrery-driver", startUs, durationUs: lengthMs * 1000 },
          {
            ...span,
            id: `${id}-b`,
            parent: `${id}-a`,
            service: "orrery-kv",
            startUs: startUs + lengthMs * 250,
            durationUs: lengthMs * 500,
          },
        ],
      };
    }),
  );
  return { schema: "orrery/traces/v1", run: "run", traces };
}
