import type { RunSpec } from "../../../schema/run.ts";
import type { Connector } from "../connector.ts";
import type { TelemetryTask } from "./task.ts";
import type { Telemetry } from "./telemetry.ts";

/** Begins the export; undefined where the run asks for none. */
export type BeginTelemetry = (measureUs: number) => Telemetry | undefined;

/** Loads the code for telemetry, and the OpenTelemetry SDK with it, only where the run asks for it. */
export async function loadTelemetry(
  spec: RunSpec,
  { worker, pod, node }: Pick<TelemetryTask, "worker" | "pod" | "node">,
  { requests = {} }: Connector,
): Promise<BeginTelemetry> {
  const { telemetry } = spec;
  if (telemetry === undefined) {
    return () => undefined;
  }
  const { startTelemetry } = await import("./telemetry.ts");
  return (measureUs) => startTelemetry({ spec: { ...spec, telemetry }, worker, pod, node, requests, measureUs });
}
