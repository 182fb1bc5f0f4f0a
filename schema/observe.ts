import { z } from "zod";
import { replicationSchema } from "./replication.ts";
import { durationSchema, sizeSchema } from "./units.ts";

const tracesSchema = z
  .strictObject({
    sample: z
      .number()
      .positive()
      .max(1)
      .default(0.01)
      .meta({ description: "Share of the operations that are traced.", unit: "ratio", examples: [0.01] }),
  })
  .meta({ description: "Traces of sampled operations across driver and members, kept by Jaeger." });

/** The `observe` section: what watches a run. Everything is off unless asked for. */
export const observeSchema = z
  .strictObject({
    prometheus: z
      .boolean()
      .default(false)
      .meta({ description: "Scrape network, conductor, collector and containers with Prometheus." }),
    traces: tracesSchema.optional(),
    replication: replicationSchema.optional(),
    goose: z
      .boolean()
      .default(false)
      .meta({ description: "Drivers also send metrics under Keramik's names (`goose_*`), for its dashboards." }),
    grafana: z
      .boolean()
      .default(false)
      .meta({ description: "Show Prometheus in Grafana; only where its image can be pulled." }),
    retention: durationSchema({ min: "10m", max: "8760h" })
      .prefault("24h")
      .meta({ description: "How long metrics and traces are kept.", unit: "duration", examples: ["24h"] }),
    storage: sizeSchema({ min: "256Mi", max: "1Ti" })
      .prefault("2Gi")
      .meta({
        description: "Volume of Prometheus and of Jaeger each; the oldest metrics go before it is full.",
        unit: "size",
        examples: ["2Gi"],
      }),
    ingress: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$/, {
        error: "a host name is lower-case labels joined by dots",
      })
      .max(200)
      .optional()
      .meta({
        description: "Domain below which the pages are served where the cluster has an ingress class.",
        examples: ["kv.example.org"],
      }),
  })
  .prefault({})
  .meta({ description: "What watches the run: metrics, traces and where they are shown, and how writes spread." });

export type Observe = z.output<typeof observeSchema>;
