import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { html } from "../../../analysis/report/html.ts";
import { renderReport } from "../../../analysis/report/page.ts";
import { overlayOfRuns, writeReports } from "../../../analysis/report.ts";
import { InputError } from "../../../schema/errors.ts";
import { makeRunFolder, type RunOptions, startAtMs } from "../../support/results.ts";
import { tracesOf } from "../../support/traces.ts";
import { analysed, shortRun, temporaryFolder } from "./run.ts";

const outage: RunOptions = { outage: { fromMs: 4_002, forMs: 900, manner: "refused" } };
const voidElements = new Set(["meta", "br", "hr", "img", "input", "link"]);

/** What is wrong with the nesting of a document's tags; empty when nothing is. */
function nestingErrors(document: string): string[] {
  const open: string[] = [];
  const errors: string[] = [];
  const body = document.replace(/^<!doctype html>/, "").replaceAll(/<style>[\s\S]*?<\/style>/g, "");
  for (const [tag, closing, name, rest] of body.matchAll(/<(\/?)([a-zA-Z][\w:-]*)((?:[^<>"']|"[^"]*"|'[^']*')*)>/g)) {
    if (closing === "/") {
      const expected = open.pop();
      if (expected !== name) {
        errors.push(`${tag} closes <${expected}>`);
      }
    } else if (name !== undefined && !voidElements.has(name) && rest?.endsWith("/") !== true) {
      open.push(name);
    }
  }
  const stray = body.replaceAll(/<\/?[a-zA-Z][\w:-]*(?:[^<>"']|"[^"]*"|'[^']*')*>/g, "").match(/[<>]/g);
  return [...errors, ...open.map((name) => `<${name}> is never closed`), ...(stray ?? []).map((one) => `stray ${one}`)];
}

test("the nesting check sees what it should", () => {
  expect(nestingErrors("<p>a</p><br><svg><path d='M0 0'/></svg>")).toEqual([]);
  expect(nestingErrors("<p><b>a</p></b>")).toHaveLength(2);
  expect(nestingErrors("<p>a < b</p>")).toHaveLength(1);
});

describe("the report", () => {
  test.each([
    ["of a passing run", outage],
    ["without faults", { killAtMs: null }],
    ["of an invalid run", { latenessMs: (random) => random() * 40 }],
    ["of damaged results", { editWorker: () => ({}) }],
    ["of a run without any operation", { editOperations: () => [] }],
  ] satisfies [string, RunOptions][])(
    "%s is one well-formed document that asks nothing of the network",
    async (_, options) => {
      const report = renderReport(await analysed(options));
      expect(nestingErrors(report)).toEqual([]);
      expect(report).not.toMatch(
        /https?:|\/\/[a-z]|\ssrc=|\shref="(?!#)|url\((?!#)|@import|<script|<link|<iframe|\son[a-z]+=/i,
      );
      expect(Buffer.byteLength(report)).toBeLessThan(2 * 1024 * 1024);
      const ids = [...report.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id);
      expect(new Set(ids).size).toBe(ids.length);
      const references = [...report.matchAll(/aria-labelledby="([^"]*)"|url\(#([^)]*)\)/g)].flatMap(([, label, url]) =>
        (label ?? url ?? "").split(" "),
      );
      expect(references.filter((reference) => !ids.includes(reference))).toEqual([]);
    },
  );

  test("stays small for a long run", async () => {
    const report = renderReport(
      await analysed({ measureMs: 1_200_000, ratePerSecond: 5, killAtMs: 600_000, cooldownMs: 1_000 }),
    );
    expect(Buffer.byteLength(report)).toBeLessThan(1024 * 1024);
  });

  test("shows each member's part: who was killed, who led at the end, what each answered", async () => {
    const report = renderReport(await analysed(outage));
    const picture = report.slice(report.indexOf('aria-labelledby="topology-wide')).split("</svg>")[0] ?? "";
    expect(picture).toMatch(
      /<desc[^>]*>2 drivers and 3 × replica\. kv-2 led at the end\. kv-0: kill at 4 s, back 3\.2 s later\./,
    );
    expect(picture).toContain("leader");
    const map = report.slice(report.indexOf('aria-labelledby="memberlatency-wide')).split("</svg>")[0] ?? "";
    expect(map).toContain('stroke="var(--bad)"');
    expect(map.match(/<title>kv-\d: \d+ operations answered/g)).toHaveLength(3);
    const calm = renderReport(await analysed({ killAtMs: null }));
    expect(calm).toContain("Nobody was seen to lead. None was harmed.");
    expect(calm).not.toContain("hit, until back");
  });

  test("stays small and labelled with a hundred members", async () => {
    const members = 100;
    const report = renderReport(
      await analysed({
        killAtMs: null,
        measureMs: 120_000,
        ratePerSecond: 200,
        editOperations: (all) => all.map((one, index) => ({ ...one, endpoint: index % members })),
        editSpec: (spec) => ({
          ...spec,
          endpoints: Array.from({ length: members }, (_, ordinal) => ({
            group: "replica",
            ordinal,
            pod: `kv-${ordinal}`,
            url: "http://kv.example:8080",
          })),
        }),
      }),
    );
    expect(Buffer.byteLength(report)).toBeLessThan(1024 * 1024);
    expect(nestingErrors(report)).toEqual([]);
    expect(report).toContain("kv-99: ");
  });

  test("says the verdict first, and why", async () => {
    const pass = renderReport(await analysed(outage));
    expect(pass).toMatch(
      /<header class="verdict pass">[\s\S]*?<\/span> Pass<\/h1>\s*<p class="lead">All 2 objectives were met, with every validity check passed\./,
    );
    const fail = renderReport(await analysed({ objectives: [{ metric: "get.latency.p50", max: "2ms" }] }));
    expect(fail).toMatch(
      /<header class="verdict fail">[\s\S]*?<\/span> Fail<\/h1>\s*<p class="lead">1 objective of 1 missed: get\.latency\.p50/,
    );
    const invalid = renderReport(await analysed({ latenessMs: (random) => random() * 40 }));
    expect(invalid).toMatch(
      /<header class="verdict invalid">[\s\S]*?<\/span> Invalid<\/h1>[\s\S]*Worker 0 sent operations late by/,
    );
  });

  test("marks the fault, its failover and the pod's return in both drawings over time", async () => {
    const report = renderReport(await analysed(outage));
    for (const id of ["throughput-wide", "throughput-narrow", "latency-wide", "latency-narrow"]) {
      const drawing = report.slice(report.indexOf(`aria-labelledby="${id}-title`)).split("</svg>")[0] ?? "";
      expect(drawing).toContain(">fault 1</text>");
      expect(drawing).toContain('fill="var(--shade)"');
      expect(drawing).toMatch(/stroke="var\(--ink\)"[^>]*dasharray/);
      expect(drawing).toMatch(/stroke="var\(--good\)"[^>]*dasharray/);
      expect(drawing).toMatch(/<desc[^>]*>[^<]*1 fault acted, at 4\.0 s\./);
    }
    expect(report).toContain("writes served as before");
    const without = renderReport(await analysed({ killAtMs: null }));
    expect(without).not.toContain("fault 1");
    expect(without).not.toContain('fill="var(--shade)"');
  });

  test("shows nothing measured when results are damaged", async () => {
    const report = renderReport(await analysed({ editWorker: () => ({}) }));
    expect(report).not.toContain("<svg");
    expect(report).toContain("This run cannot be believed");
  });

  test("escapes everything that comes from outside", async () => {
    const evil = `<script>alert("x")</script><img src=x onerror='y'>&amp;\u001b[31m`;
    const { data, whole, summary } = await analysed(outage);
    const [fault] = summary.faults;
    const [member] = fault?.members ?? [];
    const operation = summary.operations.get;
    const [node] = summary.environment?.nodes ?? [];
    if (
      fault === undefined ||
      member === undefined ||
      operation === undefined ||
      node === undefined ||
      summary.environment === null
    ) {
      throw new Error("the made run has a fault, an operation and an environment");
    }
    const report = renderReport({
      data: { ...data, experimentSource: evil },
      whole,
      summary: {
        ...summary,
        run: evil,
        experiment: evil,
        system: evil,
        target: evil,
        verdict: "invalid",
        reasons: [{ check: evil, text: evil, fix: evil }],
        warnings: [{ check: evil, text: evil, fix: evil }],
        checks: [{ check: evil, title: evil, outcome: "failed", text: evil }],
        objectives: [{ metric: evil, kind: "ratio", value: null, met: false, reason: evil }],
        operations: { [evil]: { ...operation, errors_by_code: { [evil]: 1 } } },
        faults: [
          {
            ...fault,
            target: { role: evil, count: 1 },
            leaderBefore: evil,
            leaderAfter: evil,
            members: [{ ...member, pod: evil }],
            observations: [{ atMs: 0, what: evil }],
          },
        ],
        environment: {
          ...summary.environment,
          context: evil,
          kubernetes: evil,
          nodes: [{ ...node, name: evil, kernel: evil }],
          images: [{ name: evil, image: evil, digest: evil }],
          versions: { [evil]: evil },
        },
      },
    });
    expect(report).not.toContain("<script>alert");
    expect(report).not.toContain("<img");
    expect(report).not.toContain("\u001b");
    expect(report.split("&lt;script&gt;alert(&quot;x&quot;)").length).toBeGreaterThan(25);
    expect(nestingErrors(report)).toEqual([]);
  });

  test("names every figure and table for those who do not see them", async () => {
    const report = renderReport(await analysed(outage));
    const drawings = report.match(/<svg[^>]*>/g) ?? [];
    expect(drawings).toHaveLength(12);
    expect(drawings.every((tag) => tag.includes('role="img"') && tag.includes("aria-labelledby="))).toBe(true);
    expect(report.match(/<desc id="[^"]*">[^<]{20,}<\/desc>/g)).toHaveLength(12);
    const tables = report.match(/<table>[\s\S]*?<\/table>/g) ?? [];
    expect(tables.length).toBeGreaterThan(6);
    expect(
      tables.every((one) => one.includes("<caption>") && one.includes('scope="col"') && one.includes('scope="row"')),
    ).toBe(true);
  });

  test("draws how writes spread where that was observed, and what is over the deadline as over it", async () => {
    const slow = (write: number, member: number): number =>
      member === 2 && write % 10 === 0 ? Number.POSITIVE_INFINITY : 20 * (member + 1);
    const report = renderReport(await analysed({ replication: { deadlineMs: 5_000, delayMs: slow } }));
    const picture = report.slice(report.indexOf('aria-labelledby="replication-wide')).split("</svg>")[0] ?? "";
    expect(picture).toMatch(
      /<desc[^>]*>majority \(2\): half within 40 ms[^<]*all members: half within 60 ms, 99 % not within the deadline\./,
    );
    expect(picture).toContain("<title>kv-0: p50 20 ms, p99 20 ms, p99.9 20 ms</title>");
    expect(picture).toContain("<title>kv-2: p50 60 ms, p99 over the deadline, p99.9 over the deadline</title>");
    expect(renderReport(await analysed())).not.toContain('aria-labelledby="replication-wide');
  });

  test("draws another run behind this one where one is named", async () => {
    const folder = await temporaryFolder();
    await makeRunFolder(folder, { ...shortRun, run: "run-1" });
    const overlay = await overlayOfRuns("run-1", [folder]);
    const analysis = await analysed({ seed: 8 });
    const report = renderReport(analysis, { overlay });
    for (const name of ["achieved, run-1", "p99, run-1", "put, run-1", "get, run-1"]) {
      expect(report).toContain(`</span>${name}</li>`);
    }
    expect(renderReport(analysis)).not.toContain(", run-1");
    await makeRunFolder(folder, { ...shortRun, editWorker: () => ({}) });
    await expect(overlayOfRuns("run-1", [folder])).rejects.toThrow(InputError);
  });

  test("shows sampled operations where there are any, and says when they cannot be read", async () => {
    const folder = await temporaryFolder();
    await makeRunFolder(folder, shortRun);
    const page = async (): Promise<string> => await readFile((await writeReports(folder)).html, "utf8");
    expect(await page()).not.toContain("Sampled operations");
    await writeFile(join(folder, "traces.json"), JSON.stringify(tracesOf({ get: [1, 5, 9] }, startAtMs + 3_000)));
    expect(await page()).toContain("get, the slowest: 9 ms");
    await writeFile(join(folder, "traces.json"), "{");
    expect(await page()).toContain("traces.json is not whole");
  });

  test("is written beside the results, the same bytes each time", async () => {
    const folder = await temporaryFolder();
    await makeRunFolder(folder, { ...shortRun, ...outage });
    const first = await readFile((await writeReports(folder)).html, "utf8");
    expect(await readFile((await writeReports(folder)).html, "utf8")).toBe(first);
  });
});

test("markup escapes values, nests, and joins lists", () => {
  expect(html`<p title="${`"'`}">${"<"}${[html`<b>${1}</b>`, "&"]}</p>`.text).toBe(
    '<p title="&quot;&#39;">&lt;<b>1</b>&amp;</p>',
  );
});
