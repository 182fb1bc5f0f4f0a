import type { CheckResult, ObjectiveResult, Summary } from "../../schema/summary.ts";
import { formatBounds, formatMetric } from "../format.ts";
import { whyOf } from "./words.ts";

/** One test case: passed when it has neither failure nor skip. */
interface Case {
  readonly name: string;
  readonly failure?: { readonly message: string; readonly text: string };
  readonly skipped?: string;
  readonly output?: string;
}

/**
 * A summary as JUnit XML, as GitLab, Jenkins and GitHub actions read it: validity checks and objectives are suites of
 * test cases. In an invalid run the objectives are skipped, since they decide nothing, and the checks that failed are
 * the failures; a reason that no check of the list stands for is a case of its own.
 */
export function renderJunit(summary: Summary): string {
  const suites = [
    suite(`${summary.experiment} validity`, validityCases(summary), summary),
    suite(
      `${summary.experiment} objectives`,
      summary.objectives.map((one) => objectiveCase(one, summary)),
      summary,
    ),
  ];
  const sum = (pick: (one: Suite) => number): number => suites.reduce((total, one) => total + pick(one), 0);
  const counts = attributes({
    name: `orrery ${summary.experiment} ${summary.run}`,
    tests: sum(({ cases }) => cases.length),
    failures: sum((one) => one.failures),
    errors: 0,
    skipped: sum((one) => one.skipped),
    time: seconds(summary),
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites${counts}>\n${suites.map(({ xml }) => xml).join("")}</testsuites>\n`;
}

interface Suite {
  readonly cases: readonly Case[];
  readonly failures: number;
  readonly skipped: number;
  readonly xml: string;
}

function suite(name: string, cases: readonly Case[], summary: Summary): Suite {
  const failures = cases.filter(({ failure }) => failure !== undefined).length;
  const skipped = cases.filter((one) => one.skipped !== undefined).length;
  const head = attributes({
    name,
    tests: cases.length,
    failures,
    errors: 0,
    skipped,
    time: seconds(summary),
    ...(summary.started === null ? {} : { timestamp: summary.started.slice(0, 19) }),
  });
  const properties = { run: summary.run, verdict: summary.verdict, system: summary.system, target: summary.target };
  const xml = [
    `  <testsuite${head}>\n`,
    "    <properties>\n",
    ...Object.entries(properties).map(([key, value]) => `      <property${attributes({ name: key, value })}/>\n`),
    "    </properties>\n",
    ...cases.map((one) => caseXml(one, name)),
    "  </testsuite>\n",
  ];
  return { cases, failures, skipped, xml: xml.join("") };
}

function caseXml({ name, failure, skipped, output }: Case, className: string): string {
  const inner = [
    skipped === undefined ? "" : `      <skipped${attributes({ message: skipped })}/>\n`,
    failure === undefined
      ? ""
      : `      <failure${attributes({ message: failure.message, type: "orrery" })}>${escapeXml(failure.text)}</failure>\n`,
    output === undefined ? "" : `      <system-out>${escapeXml(output)}</system-out>\n`,
  ].join("");
  return `    <testcase${attributes({ name, classname: className, time: 0 })}>\n${inner}    </testcase>\n`;
}

function validityCases(summary: Summary): Case[] {
  const known = new Set(summary.checks.map(({ check }) => check));
  const others = [...new Set(summary.reasons.map(({ check }) => check))].filter((check) => !known.has(check));
  return [
    ...summary.checks.map((check) => checkCase(check, summary)),
    ...others.map((check) => ({ name: check, failure: failureOf(check, summary) })),
  ];
}

function checkCase({ check, title, outcome, text }: CheckResult, summary: Summary): Case {
  const name = `${check}: ${title}`;
  switch (outcome) {
    case "failed":
      return { name, failure: failureOf(check, summary, text) };
    case "skipped":
      return { name, skipped: text };
    case "warned":
    case "passed":
      return { name, output: text };
  }
}

/** Every reason of a check, with what to do about it. */
function failureOf(check: string, { reasons }: Summary, otherwise = ""): { message: string; text: string } {
  const own = reasons.filter((reason) => reason.check === check);
  return {
    message: own[0]?.text ?? otherwise,
    text: own.map(({ text, fix }) => `${text}\n${fix}`).join("\n\n") || otherwise,
  };
}

function objectiveCase(objective: ObjectiveResult, summary: Summary): Case {
  const { metric, kind, value, met, reason } = objective;
  const name = `${metric} ${formatBounds(objective)}`;
  if (!summary.valid) {
    return { name, skipped: "The run is invalid, so this decides nothing." };
  }
  const measured = value === null ? "no value" : formatMetric(kind, value);
  return met
    ? { name, output: `measured ${measured}` }
    : { name, failure: { message: `measured ${measured}`, text: `${reason ?? "missed"}\n${whyOf(summary)}` } };
}

/** Length of the load. */
function seconds({ phases }: Summary): number {
  return phases === null ? 0 : (phases.warmup_ms + phases.measure_ms) / 1000;
}

function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${escapeXml(String(value)).replaceAll("\n", "&#10;")}"`)
    .join("");
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

/** Text as it may stand in XML 1.0; what may not stand there at all becomes the replacement character. */
function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replace(/[^\t\n\u0020-\u007e\u0085\u00a0-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd")
    .replace(/[&<>"']/g, (character) => entities[character] ?? "");
}
