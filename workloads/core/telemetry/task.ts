import type { RunSpec } from "../../../schema/run.ts";
import type { Connector } from "../connector.ts";

/** Who sends, and when its measure phase begins. */
export interface TelemetryTask {
  readonly spec: RunSpec & { readonly telemetry: NonNullable<RunSpec["telemetry"]> };
  readonly worker: number;
  readonly pod: string;
  readonly node: string;
  readonly requests: NonNullable<Connector["requests"]>;
  /** Of the measure phase, µs since 1970. */
  readonly measureUs: number;
}
