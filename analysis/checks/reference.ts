import { formatMs, formatRate, formatRatio, plural } from "../format.ts";
import { referenceOf } from "../reference.ts";
import { thresholds } from "../thresholds.ts";
import { type Check, type WholeRun, warning } from "./check.ts";

const fix =
  "Rates near that are the driver's limit, not the network's: give the driver more CPU, or share the load among more workers.";

/** A rate is the network's only where the driver could have sent more. */
export const referenceCheck: Check<WholeRun> = {
  check: "driver-reference",
  title: "Does the driver get through what a sender that does nothing else would?",
  run: (run) => {
    const reference = referenceOf(run);
    if (reference === undefined) {
      return null;
    }
    if (typeof reference === "string") {
      return {
        findings: [warning(`driver and raw sender could not be compared: ${reference}.`, fixProblem)],
        text: "",
      };
    }
    const { raw, connector, ratio, windows, transfers } = reference;
    const text = `the driver got ${formatRate(connector.rate)} through, a raw sender ${formatRate(raw.rate)}: ${formatRatio(ratio, 0)}, by ${plural(windows, "window")} of ${plural(transfers, "transfer")} each. Of its CPU the driver took ${formatMs(connector.cpu_ms)} for each, the raw sender ${formatMs(raw.cpu_ms)}.`;
    return { findings: ratio < thresholds.minReferenceRatio ? [warning(text, fix)] : [], text };
  },
};

const fixProblem =
  "Fewer transfers (workload.parameters.reference.transfers) need less time; worker.json has what was measured.";
