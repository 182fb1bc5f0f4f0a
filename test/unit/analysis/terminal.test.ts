import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { renderSummary } from "../../../analysis/terminal.ts";
import { analysed } from "./run.ts";

const plain = { color: false, width: 80 };

describe("the summary on a terminal", () => {
  test("of a passing run", async () => {
    const { summary } = await analysed({ outage: { fromMs: 4_002, forMs: 900, manner: "refused" } });
    await expect(renderSummary(summary, plain)).toMatchFileSnapshot("terminal-pass.golden.txt");
  });

  test("of a failing run", async () => {
    const { summary } = await analysed({
      outage: { fromMs: 4_002, forMs: 20_000, manner: "refused" },
      objectives: [
        { metric: "success_ratio", min: 0.999 },
        { metric: "failover", max: "5s" },
        { metric: "get.latency.p90", max: "50ms" },
      ],
    });
    await expect(renderSummary(summary, plain)).toMatchFileSnapshot("terminal-fail.golden.txt");
  });

  test("of an invalid run", async () => {
    const { summary } = await analysed(
      { editConductor: (conductor) => ({ ...conductor, faults: [] }), latenessMs: (random) => random() * 60 },
      async () => {},
    );
    await expect(renderSummary(summary, plain)).toMatchFileSnapshot("terminal-invalid.golden.txt");
  });

  test("has the same characters with colour and without", async () => {
    const { summary } = await analysed({ objectives: [{ metric: "get.latency.p50", max: "2ms" }] });
    const colored = renderSummary(summary, { color: true, width: 80 });
    expect(colored).toContain("\u001b[");
    expect(stripVTControlCharacters(colored)).toBe(renderSummary(summary, plain));
  });

  test("lets nothing from outside steer the terminal", async () => {
    const { summary } = await analysed();
    const evil = "x\u001b[2J\u001b]0;title\u0007\r\nPASS";
    const text = renderSummary(
      {
        ...summary,
        run: evil,
        experiment: evil,
        target: evil,
        reasons: [{ check: evil, text: evil, fix: evil }],
        operations: Object.fromEntries(Object.values(summary.operations).map((one) => [evil, one])),
        faults: summary.faults.map((fault) => ({
          ...fault,
          members: fault.members.map((one) => ({ ...one, pod: evil })),
        })),
      },
      plain,
    );
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    expect(text).not.toMatch(/^PASS$/m);
  });

  test("wraps sentences at the width", async () => {
    const { summary } = await analysed({ latenessMs: (random) => random() * 60 });
    const sentences = renderSummary(summary, { color: false, width: 60 })
      .split("\n\n")
      .filter((section) => section.startsWith("Why"));
    expect(sentences).toHaveLength(1);
    expect(Math.max(...(sentences[0] ?? "").split("\n").map((line) => line.length))).toBeLessThanOrEqual(60);
  });
});
