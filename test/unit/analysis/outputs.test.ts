import { describe, expect, test } from "vitest";
import { renderJunit } from "../../../analysis/report/junit.ts";
import { renderMarkdown } from "../../../analysis/report/markdown.ts";
import type { Summary } from "../../../schema/summary.ts";
import { analysed } from "./run.ts";

const missed = [
  { metric: "success_ratio", min: 0.9 },
  { metric: "get.latency.p50", max: "2ms" },
];
const late = { latenessMs: (random: () => number) => random() * 40 };

/** Every text of a summary replaced. */
function poisoned(summary: Summary, evil: string): Summary {
  return {
    ...summary,
    run: evil,
    experiment: evil,
    target: evil,
    verdict: "fail",
    reasons: [{ check: evil, text: evil, fix: evil }],
    warnings: [{ check: evil, text: evil, fix: evil }],
    checks: [{ check: evil, title: evil, outcome: "failed", text: evil }],
    objectives: [{ metric: evil, kind: "ratio", value: null, met: false, reason: evil }],
    operations: Object.fromEntries(Object.values(summary.operations).map((one) => [evil, one])),
    faults: summary.faults.map((fault) => ({ ...fault, members: fault.members.map((one) => ({ ...one, pod: evil })) })),
  };
}

describe("the Markdown for pull requests", () => {
  test("of a failing run", async () => {
    const { summary } = await analysed({ objectives: missed });
    await expect(renderMarkdown(summary)).toMatchFileSnapshot("report-fail.golden.md");
  });

  test("of an invalid run says why before anything else, and judges nothing", async () => {
    const { summary } = await analysed(late);
    const text = renderMarkdown(summary);
    expect(text).toMatch(
      /^## ⚠️ Invalid: kv\n\nThis run cannot be believed[^\n]*\n\n- `driver-saturated` Worker 0 sent/,
    );
    expect(text).toContain("| – met |");
    expect(text).not.toContain("✅ met");
  });

  test("gives nothing from outside power over the page", async () => {
    const { summary } = await analysed();
    const text = renderMarkdown(poisoned(summary, "<img src=x>|`x`\n# [a](http://b) @someone **b**"));
    const outsideCode = text.replaceAll(/(?<!\\)`[^`]*`/g, "");
    expect(outsideCode).toContain("someone");
    expect(outsideCode).not.toMatch(/<img|@someone|http:\/\/b|(?<!\\)[[\]]/);
    expect(text).not.toMatch(/^# /m);
    for (const row of text.split("\n").filter((line) => line.startsWith("| ") && line.includes("img"))) {
      expect(row.replaceAll("\\|", "").split("|").length).toBeLessThanOrEqual(10);
    }
  });
});

/** Counts of a suite as its attributes say, and as its cases are. */
function counts(xml: string): { said: number[]; found: number[] }[] {
  return [...xml.matchAll(/<testsuite ([^>]*)>([\s\S]*?)<\/testsuite>/g)].map(([, head = "", body = ""]) => ({
    said: ["tests", "failures", "skipped"].map((name) => Number(new RegExp(` ?${name}="(\\d+)"`).exec(head)?.[1])),
    found: ["testcase", "failure", "skipped"].map((tag) => body.split(`<${tag} `).length - 1),
  }));
}

describe("the JUnit XML", () => {
  test("of a failing run", async () => {
    const { summary } = await analysed({ objectives: missed });
    const xml = renderJunit(summary);
    await expect(xml).toMatchFileSnapshot("junit-fail.golden.xml");
    expect(counts(xml)).toHaveLength(2);
    expect(counts(xml).every(({ said, found }) => said.join() === found.join())).toBe(true);
    expect(counts(xml).map(({ said }) => said[1])).toEqual([0, 1]);
  });

  test("of an invalid run fails the checks and skips the objectives", async () => {
    const { summary } = await analysed(late);
    const [validity, objectives] = counts(renderJunit(summary));
    expect(validity?.said[1]).toBeGreaterThan(0);
    expect(objectives?.said).toEqual([2, 0, 2]);
  });

  test("of damaged results fails, so that no reader takes them for good", async () => {
    const { summary } = await analysed({ editWorker: () => ({}) });
    expect(counts(renderJunit(summary))[0]?.said[1]).toBeGreaterThan(0);
  });

  test("escapes everything that comes from outside", async () => {
    const { summary } = await analysed();
    const xml = renderJunit(poisoned(summary, `<a b="c">&'\u0000\u001b\ud800\n]]>`));
    expect(xml).not.toContain("<a b");
    expect(xml).not.toContain("]]>");
    expect(xml).not.toMatch(/&(?!amp;|lt;|gt;|quot;|apos;|#10;)/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
    expect(xml).not.toMatch(/[\u0000-\u0008\u000b-\u001f\ud800-\udfff]/);
  });
});
