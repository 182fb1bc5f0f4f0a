import { z } from "zod";

/** What an observed run leaves besides its own results: nothing in a verdict rests on it. */
const tracesVersion = "orrery/traces/v1";

const attribute = z.union([z.string(), z.number(), z.boolean()]);

const spanSchema = z.strictObject({
  id: z.string(),
  /** Null for the first span of a trace, and where the parent was not kept. */
  parent: z.string().nullable(),
  /** `orrery-driver`, or the service name of a member. */
  service: z.string(),
  operation: z.string(),
  /** Microseconds since 1970, on the clock of the node the span was made on. */
  startUs: z.number(),
  durationUs: z.number().min(0),
  failed: z.boolean(),
  attributes: z.record(z.string(), attribute),
});

/** `traces.json`: operations that were sampled, oldest first. */
export const tracesFileSchema = z.strictObject({
  schema: z.literal(tracesVersion),
  run: z.string(),
  traces: z.array(z.strictObject({ id: z.string(), spans: z.array(spanSchema).min(1) })),
});
export type TracesFile = z.output<typeof tracesFileSchema>;
export type Span = z.output<typeof spanSchema>;
