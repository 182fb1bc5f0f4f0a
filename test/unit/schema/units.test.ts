import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cpuSchema, durationSchema, formatBytes, formatCpu, rateSchema, sizeSchema } from "../../../schema/units.ts";

describe("quantities", () => {
  test.each([
    [durationSchema(), "250ms", 250],
    [durationSchema(), "1.5s", 1500],
    [durationSchema(), "2h", 7_200_000],
    [sizeSchema(), "128B", 128],
    [sizeSchema(), "1Gi", 2 ** 30],
    [sizeSchema(), "3M", 3_000_000],
    [rateSchema(), "500/s", 500],
    [rateSchema(), "30/m", 0.5],
    [cpuSchema(), "250m", 0.25],
    [cpuSchema(), "2", 2],
  ])("%# %s resolves to %d", (schema, text, value) => {
    expect(schema.parse(text)).toBe(value);
  });

  test.each([
    [durationSchema(), "5"],
    [durationSchema(), "-5s"],
    [durationSchema(), 5],
    [sizeSchema(), "1 Gi"],
    [sizeSchema(), "1GB"],
    [rateSchema(), "500"],
    [rateSchema(), "1e3/s"],
    [cpuSchema(), "1.5x"],
  ])("%# %j is refused", (schema, text) => {
    expect(schema.safeParse(text).success).toBe(false);
  });

  test("bounds are part of the range and named in the message", () => {
    const schema = durationSchema({ min: "1s", max: "1m" });
    expect(schema.parse("1s")).toBe(1000);
    expect(schema.parse("1m")).toBe(60_000);
    expect(schema.safeParse("61s").error?.issues[0]?.message).toContain("1s to 1m");
  });

  test("what is written for Kubernetes reads back as the same number", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 20 }),
        fc.constantFrom(1, 2 ** 10, 2 ** 20, 2 ** 30),
        (count, unit) => {
          const written = formatBytes(count * unit);
          const bytes = /\d$/.test(written) ? Number(written) : sizeSchema().parse(written);
          expect(bytes).toBe(count * unit);
        },
      ),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64_000 }), (milli) => {
        expect(cpuSchema().parse(formatCpu(milli / 1000))).toBeCloseTo(milli / 1000, 9);
      }),
    );
  });
});
