import { describe, expect, test } from "vitest";
import { renderIndex } from "../../../analysis/report/index-page.ts";
import { traceFigures } from "../../../analysis/report/waterfall.ts";
import type { Summary } from "../../../schema/summary.ts";
import { tracesOf } from "../../support/traces.ts";
import { analysed } from "./run.ts";

describe("the waterfall of sampled operations", () => {
  test("shows of each operation the median and the slowest, member under driver", () => {
    const text = traceFigures(tracesOf({ put: [4, 9, 30], get: [1, 2, 3, 8, 2] }), 0).text;
    expect(text).toMatch(
      /<desc[^>]*>4 of 8 sampled operations\. get, the median: 2 ms\. get, the slowest: 8 ms\. put, the median: 9 ms\. put, the slowest: 30 ms\./,
    );
    const wide = text.slice(text.indexOf("traces-wide-title")).split("</svg>")[0] ?? "";
    expect(wide.match(/x="0" y="[^"]*">orrery-driver/g)).toHaveLength(4);
    expect(wide.match(/x="12" y="[^"]*">orrery-kv/g)).toHaveLength(4);
  });

  test("leaves the warm-up out, and marks what failed", () => {
    const traces = tracesOf({ get: [1, 2] });
    const warm = {
      ...traces,
      traces: traces.traces.map((one) => ({
        ...one,
        spans: one.spans.map((span) => ({ ...span, attributes: { "orrery.phase": "warmup" } })),
      })),
    };
    expect(traceFigures(warm, 0).text).toContain("0 of 2 sampled operations");
    const failed = {
      ...traces,
      traces: traces.traces.map((one) => ({ ...one, spans: one.spans.map((span) => ({ ...span, failed: true })) })),
    };
    expect(traceFigures(failed, 0).text).toContain('stroke="var(--bad)"');
    expect(traceFigures(traces, 0).text).not.toContain('stroke="var(--bad)"');
  });

  test("survives spans that are each other's parents, and text from outside", () => {
    const traces = tracesOf({ "<b>": [1] });
    const [trace] = traces.traces;
    const spans = (trace?.spans ?? []).map((span, index, all) => ({
      ...span,
      parent: all[(index + 1) % all.length]?.id ?? null,
    }));
    const text = traceFigures({ ...traces, traces: [{ id: "t", spans }] }, 0).text;
    expect(text).toContain("&lt;b&gt;");
    expect(text).not.toContain("<b>");
  });
});

describe("the index over runs", () => {
  const kept = (summary: Summary | undefined, folder: string) => ({ folder, summary });

  test("lists every run, newest first, and draws what valid ones measured", async () => {
    const { summary } = await analysed();
    const faster: Summary = { ...summary, metrics: { ...summary.metrics, "get.latency.p99": 1 } };
    const invalid = (await analysed({ latenessMs: (random) => random() * 40 })).summary;
    const page = renderIndex("kv", [
      kept(summary, "run-1"),
      kept(undefined, "run-2"),
      kept(invalid, "run-3"),
      kept(faster, "run-4"),
    ]);
    expect(page).toContain("4 runs, 2 of them valid");
    expect([...page.matchAll(/href="(run-\d)\/report.html"/g)].map(([, run]) => run)).toEqual([
      "run-4",
      "run-3",
      "run-2",
      "run-1",
    ]);
    expect(page).toMatch(/<desc[^>]*>2 runs: between 1 ms and [\d.]+ ms, at last 1 ms\.<\/desc>/);
    expect(page).not.toMatch(/<script|\ssrc=|https?:/);
  });

  test("draws no trend of fewer than two valid runs, and leads nowhere else", async () => {
    const { summary } = await analysed();
    const page = renderIndex("kv", [kept(summary, `"><a href="//x`)]);
    expect(page).toContain("A trend needs two valid runs.");
    expect(page).not.toContain("<svg");
    expect(page).toContain('href="%22%3E%3Ca%20href%3D%22%2F%2Fx/report.html"');
  });
});
