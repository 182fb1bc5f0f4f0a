import { formatMs, plural } from "../format.ts";
import { type Check, type Finding, failure, type Protocol } from "./check.ts";

const runAgain = "Run again; `kubectl get pods` and the pod's log in the results say what became of it.";

/** Every worker joined in time, was there to the end, and delivered. */
export const workersCheck: Check<Protocol> = {
  check: "workers",
  title: "Did every worker take part from start to end?",
  run: ({ spec, conductor }) => {
    const findings: Finding[] = [];
    const { startAtMs, workers } = conductor;
    if (startAtMs === null) {
      findings.push(
        failure(
          "the run never started: the workers did not all reach the barrier.",
          "Give the cluster room for all workers, or ask for fewer in workload.workers.",
        ),
      );
    }
    for (let index = 0; index < spec.workers; index += 1) {
      const worker = workers.find((candidate) => candidate.index === index);
      const joinedAtMs = worker?.joinedAtMs ?? null;
      if (joinedAtMs === null) {
        findings.push(failure(`worker ${index} never joined.`, runAgain));
        continue;
      }
      if (startAtMs !== null && joinedAtMs > startAtMs) {
        findings.push(failure(`worker ${index} joined ${formatMs(joinedAtMs - startAtMs)} after the start.`, runAgain));
      }
      if ((worker?.doneAtMs ?? null) === null) {
        findings.push(failure(`worker ${index} was lost: it never delivered its results.`, runAgain));
      }
    }
    return { findings, text: `${plural(spec.workers, "worker")} joined in time and delivered.` };
  },
};
