import { type HrTime, ROOT_CONTEXT, SpanKind, SpanStatusCode, type Tracer } from "@opentelemetry/api";
import type { IdGenerator } from "@opentelemetry/sdk-trace";
import { ATTR_DB_OPERATION_NAME, ATTR_DB_SYSTEM_NAME, ATTR_ERROR_TYPE } from "@opentelemetry/semantic-conventions";
import type { BeginSpan, Completed } from "../load.ts";
import { hashText, type Random, seededRandom } from "../random.ts";
import type { TelemetryTask } from "./task.ts";

/** Keeps the draws for traces apart from those for operations, keys and gaps. */
const traceStream = 0x7472;

/** Ids of traces and spans from a seeded source, set anew for each operation. */
export class SeededIds implements IdGenerator {
  source: Random = seededRandom(traceStream);

  generateTraceId(): string {
    return hexOf(this.source, 4);
  }

  generateSpanId(): string {
    return hexOf(this.source, 2);
  }
}

function hexOf(random: Random, words: number): string {
  return Array.from({ length: words }, () =>
    random
      .below(2 ** 32)
      .toString(16)
      .padStart(8, "0"),
  ).join("");
}

/**
 * Makes a client span for each sampled operation. Which are sampled hangs on seed, worker and place in the schedule, so
 * the same seed traces the same operations; the ids hang on the run too, so two runs never share a trace. Times are the
 * core's, on the conductor's clock, as in the event log.
 */
export function spanMaker(tracer: Tracer, ids: SeededIds, { spec, worker, measureUs }: TelemetryTask): BeginSpan {
  const { sampleRatio } = spec.telemetry;
  const runHash = hashText(spec.run);
  const serverOf = new Map(spec.endpoints.map(({ ordinal, url }) => [ordinal, addressOf(url)]));
  return ({ operation, sequence, user, turn, intendedUs, sentUs }) => {
    const random = seededRandom(spec.seed, worker, user, turn, traceStream);
    if (random.next() >= sampleRatio) {
      return undefined;
    }
    ids.source = seededRandom(spec.seed, worker, user, turn, traceStream, runHash);
    const attributes = {
      [ATTR_DB_SYSTEM_NAME]: spec.system,
      [ATTR_DB_OPERATION_NAME]: operation,
      "orrery.phase": intendedUs < measureUs ? "warmup" : "measure",
      "orrery.sequence": sequence,
      "orrery.send_delay": (sentUs - intendedUs) / 1e6,
    };
    const kind = SpanKind.CLIENT;
    const span = tracer.startSpan(operation, { kind, root: true, startTime: hrTime(sentUs), attributes }, ROOT_CONTEXT);
    span.addEvent("orrery.intended", hrTime(intendedUs));
    const { traceId, spanId } = span.spanContext();
    return {
      headers: { traceparent: `00-${traceId}-${spanId}-01` },
      end: ({ outcome, completedUs }: Completed) => {
        span.setAttributes({ "orrery.attempts": outcome.attempts, ...serverOf.get(outcome.endpoint) });
        if (!outcome.ok) {
          span.setAttribute(ATTR_ERROR_TYPE, outcome.code ?? "error");
          span.setStatus({ code: SpanStatusCode.ERROR });
        }
        span.end(hrTime(completedUs));
      },
    };
  };
}

function addressOf(url: string): { "server.address": string; "server.port": number } {
  const { hostname, port, protocol } = new URL(url);
  return { "server.address": hostname, "server.port": Number(port || (protocol === "https:" ? 443 : 80)) };
}

function hrTime(us: number): HrTime {
  return [Math.floor(us / 1e6), Math.round(us % 1e6) * 1000];
}
