import { z } from "zod";

/**
 * Quantities are written as strings with a unit and resolved once, here, to a number in one canonical unit:
 * durations in milliseconds, sizes in bytes, rates in events per second, CPU in cores.
 */
interface Unit {
  readonly name: string;
  readonly pattern: RegExp;
  readonly factors: Readonly<Record<string, number>>;
  readonly examples: readonly string[];
}

const duration: Unit = {
  name: "duration",
  pattern: /^(\d+(?:\.\d+)?)(us|ms|s|m|h)$/,
  factors: { us: 0.001, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 },
  examples: ["250ms", "30s", "5m"],
};

const size: Unit = {
  name: "size",
  pattern: /^(\d+(?:\.\d+)?)(B|k|M|G|T|Ki|Mi|Gi|Ti)$/,
  factors: {
    B: 1,
    k: 1e3,
    M: 1e6,
    G: 1e9,
    T: 1e12,
    Ki: 2 ** 10,
    Mi: 2 ** 20,
    Gi: 2 ** 30,
    Ti: 2 ** 40,
  },
  examples: ["128B", "512Mi", "1Gi"],
};

const rate: Unit = {
  name: "rate",
  pattern: /^(\d+(?:\.\d+)?)(\/s|\/m)$/,
  factors: { "/s": 1, "/m": 1 / 60 },
  examples: ["500/s", "30/m"],
};

const cpu: Unit = {
  name: "CPU amount",
  pattern: /^(\d+(?:\.\d+)?)(m|)$/,
  factors: { m: 0.001, "": 1 },
  examples: ["250m", "2"],
};

/** The number of canonical units in `text`, or undefined when it is not such a quantity. */
function parseQuantity(unit: Unit, text: string): number | undefined {
  const match = unit.pattern.exec(text);
  const factor = unit.factors[match?.[2] ?? "none"];
  return match === null || factor === undefined ? undefined : Number(match[1]) * factor;
}

/** Bounds of a quantity, written the way a user would write them. */
export interface Bounds {
  readonly min?: string;
  readonly max?: string;
}

function quantity(unit: Unit, bounds: Bounds) {
  const min = bounds.min === undefined ? 0 : parseQuantity(unit, bounds.min);
  const max = bounds.max === undefined ? Number.POSITIVE_INFINITY : parseQuantity(unit, bounds.max);
  if (min === undefined || max === undefined) {
    throw new Error(`schema: bounds ${JSON.stringify(bounds)} are not written as a ${unit.name}`);
  }
  return z
    .string({ error: (issue) => `${JSON.stringify(issue.input)} is not a ${unit.name}; write ${quoted(unit)}` })
    .regex(unit.pattern, {
      error: (issue) => `${JSON.stringify(issue.input)} is not a ${unit.name}; write ${quoted(unit)}`,
    })
    .transform((text, context) => {
      const value = parseQuantity(unit, text);
      if (value === undefined) {
        return z.NEVER; // the pattern above has already reported it
      }
      if (value < min || value > max) {
        const range = bounds.max === undefined ? `at least ${bounds.min}` : `${bounds.min ?? "0"} to ${bounds.max}`;
        context.addIssue({ code: "custom", message: `"${text}" is out of range; write ${range}` });
        return z.NEVER;
      }
      return value;
    });
}

function quoted(unit: Unit): string {
  return unit.examples.map((example) => `"${example}"`).join(", ");
}

/** Written `"250ms"`, resolved to milliseconds. */
export const durationSchema = (bounds: Bounds = {}) => quantity(duration, bounds);
/** Written `"512Mi"`, resolved to bytes. */
export const sizeSchema = (bounds: Bounds = {}) => quantity(size, bounds);
/** Written `"200/s"`, resolved to events per second. */
export const rateSchema = (bounds: Bounds = {}) => quantity(rate, bounds);
/** Written `"250m"` or `"2"`, resolved to cores. */
export const cpuSchema = (bounds: Bounds = {}) => quantity(cpu, bounds);

/** Milliseconds in a duration such as `"50ms"`, or undefined when `text` is none. */
export const parseDuration = (text: string): number | undefined => parseQuantity(duration, text);
/** Events per second in a rate such as `"500/s"`, or undefined when `text` is none. */
export const parseRate = (text: string): number | undefined => parseQuantity(rate, text);

/** Bytes as a Kubernetes quantity with the largest binary unit that divides it. */
export function formatBytes(bytes: number): string {
  for (const suffix of ["Ti", "Gi", "Mi", "Ki"] as const) {
    const factor = size.factors[suffix];
    if (factor !== undefined && bytes >= factor && bytes % factor === 0) {
      return `${bytes / factor}${suffix}`;
    }
  }
  return `${Math.ceil(bytes)}`;
}

/** Cores as a Kubernetes quantity in millicores. */
export function formatCpu(cores: number): string {
  return `${Math.round(cores * 1000)}m`;
}
