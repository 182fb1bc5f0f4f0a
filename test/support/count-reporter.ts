import type { Reporter, TestModule } from "vitest/node";

/**
 * Ends a run with one plain line, `N passed, N failed, N skipped`, for machines that read logs. Tests that passed only
 * when they were tried again are named before it, so that they get mended.
 */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const wavering: string[] = [];
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      if (module.errors().length > 0) {
        counts.failed += 1; // a file that could not be loaded or set up
      }
      for (const test of module.children.allTests()) {
        const state = test.result().state;
        if (test.diagnostic()?.flaky === true) {
          wavering.push(test.fullName);
        }
        counts[state === "passed" || state === "failed" ? state : "skipped"] += 1;
      }
    }
    process.once("exit", () => {
      process.stdout.write(wavering.map((name) => `passed at the second try: ${name}\n`).join(""));
      process.stdout.write(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
    });
  }
}
