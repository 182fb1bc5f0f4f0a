import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { overlayOfRuns, writeIndex, writeReports } from "../../analysis/report.ts";
import { analyse } from "../../analysis/summary.ts";
import { browser, seriousFindings, visit } from "../support/browser.ts";
import { makeRunFolder, type RunOptions, startAtMs } from "../support/results.ts";
import { tracesOf } from "../support/traces.ts";

const short: RunOptions = { ratePerSecond: 100, warmupMs: 2_000, measureMs: 10_000, killAtMs: 4_000 };
const outage = { fromMs: 4_002, forMs: 900, manner: "refused" } as const;
const crowd = 100;

/** Reports of every kind, by name. */
const variants: Readonly<Record<string, RunOptions>> = {
  pass: { ...short, outage },
  fail: { ...short, outage, objectives: [{ metric: "get.latency.p50", max: "2ms" }] },
  invalid: { ...short, latenessMs: (random) => random() * 40 },
  damaged: { ...short, editWorker: () => ({}) },
  traced: { ...short, outage },
  replicated: { ...short, replication: { deadlineMs: 5_000, delayMs: (write, member) => (write % 40) * (member + 1) } },
  long: {
    ...short,
    measureMs: 1_200_000,
    ratePerSecond: 10,
    killAtMs: 600_000,
    editOperations: (all) => all.map((one, index) => ({ ...one, endpoint: index % crowd })),
    editSpec: (spec) => ({
      ...spec,
      endpoints: Array.from({ length: crowd }, (_, ordinal) => ({
        group: "replica",
        ordinal,
        pod: `kv-${ordinal}`,
        url: "http://kv.example:8080",
      })),
    }),
  },
};

const paperColor = "getComputedStyle(document.documentElement).backgroundColor";

let running: Browser;
let folder: string;
const files = new Map<string, string>();
const fileOf = (name: string): string => files.get(name) ?? "";

describe.skipIf(!browser.available)("in a browser, the report", () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "orrery-browser-test-"));
    for (const [name, options] of Object.entries(variants)) {
      const run = join(folder, "kv", name);
      await makeRunFolder(run, { ...options, run: `run-${name}` });
      if (name === "traced") {
        const traces = tracesOf({ put: [4, 9, 30], get: [1, 2, 8] }, startAtMs + 3_000);
        await writeFile(join(run, "traces.json"), JSON.stringify(traces));
      }
      const overlay = name === "traced" ? await overlayOfRuns("baseline", [join(folder, "kv", "pass")]) : null;
      files.set(name, (await writeReports(run, overlay)).html);
    }
    const runs = Object.keys(variants).map((name) => join(folder, "kv", name));
    for (const run of runs) {
      await analyse(run);
    }
    files.set("index", await writeIndex(join(folder, "kv"), runs));
    running = await browser.start();
  });
  afterAll(async () => {
    await running?.close();
    await rm(folder, { recursive: true, force: true });
  });

  describe.each([...Object.keys(variants), "index"])("%s", (name) => {
    test.each(["light", "dark"] as const)("makes no error and no request, in the %s", async (scheme) => {
      const { page, errors, requests, bytes, close } = await visit(running, fileOf(name), { scheme });
      expect(await page.locator("h1").count()).toBe(1);
      const paper = await page.evaluate(paperColor);
      expect(paper).toBe(scheme === "light" ? "rgb(255, 255, 255)" : "rgb(19, 21, 24)");
      expect({ errors, requests }).toEqual({ errors: [], requests: [] });
      expect(bytes).toBeLessThanOrEqual(2 * 1024 * 1024);
      await close();
    });

    test.each(["light", "dark"] as const)("has no serious finding of axe, in the %s", async (scheme) => {
      const { page, close } = await visit(running, fileOf(name), { scheme, instrumented: true });
      await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true");
      expect(await seriousFindings(page)).toEqual([]);
      await close();
    });

    test("fits a phone and a sheet of paper", async () => {
      const { page, close } = await visit(running, fileOf(name), { width: 360 });
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
      const sheet = await page.pdf({ format: "A4" });
      expect(sheet.subarray(0, 5).toString()).toBe("%PDF-");
      await page.emulateMedia({ media: "print" });
      const cut = await page.evaluate(
        "[...document.querySelectorAll('svg')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1).length",
      );
      expect(cut).toBe(0);
      await close();
    });
  });

  test("can be read with the keyboard alone", async () => {
    const { page, close } = await visit(running, fileOf("pass"));
    const reached: string[] = [];
    const total = await page.locator("summary").count();
    for (let step = 0; step < 80; step += 1) {
      await page.keyboard.press("Tab");
      reached.push(
        await page
          .locator(":focus")
          .evaluateAll(([at]) => `${at?.nodeName ?? ""} ${at?.textContent?.slice(0, 40) ?? ""}`),
      );
    }
    expect(reached[0]).toBe("A Skip to the report");
    expect(total).toBeGreaterThan(4);
    const summaries = reached.filter((one) => one.startsWith("SUMMARY"));
    expect(new Set(summaries).size).toBe(total);
    await page.locator("summary").first().focus();
    await page.keyboard.press("Enter");
    expect(await page.locator("details").first().getAttribute("open")).not.toBeNull();
    await close();
  });

  test("takes the colours a reader chooses, without any script", async () => {
    const { page, close } = await visit(running, fileOf("pass"), { scheme: "light" });
    const paper = () => page.evaluate(paperColor);
    await page.locator("#theme-dark").check();
    expect(await paper()).toBe("rgb(19, 21, 24)");
    await page.locator("#theme-light").check();
    expect(await paper()).toBe("rgb(255, 255, 255)");
    await close();
  });

  test("has a JUnit file beside it that an XML parser takes", async () => {
    const { page, close } = await visit(running, fileOf("fail"), { instrumented: true });
    for (const name of Object.keys(variants)) {
      const xml = await readFile(join(folder, "kv", name, "junit.xml"), "utf8");
      const parsed = `new DOMParser().parseFromString(${JSON.stringify(xml)}, "application/xml")`;
      const found = await page.evaluate(
        `(({documentElement: root}) => ({root: root.tagName, errors: root.querySelectorAll("parsererror").length}))(${parsed})`,
      );
      expect(found).toEqual({ root: "testsuites", errors: 0 });
    }
    await close();
  });

  test("would be caught asking for something, erring, or hiding from a reader", async () => {
    const bad = join(folder, "bad.html");
    await writeFile(
      bad,
      `<!doctype html><html><head><title>x</title></head><body><img src="http://127.0.0.1:9/x.png"><script>throw new Error("oops")</script><p style="color:#ddd">pale</p></body></html>`,
    );
    const { page, errors, requests, close } = await visit(running, bad, { instrumented: true });
    expect(requests).toEqual(["http://127.0.0.1:9/x.png"]);
    expect(errors.join()).toContain("oops");
    const findings = (await seriousFindings(page)).join("\n");
    expect(findings).toContain("image-alt");
    expect(findings).toContain("color-contrast");
    await close();
  });
});
