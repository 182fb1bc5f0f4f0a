import { defineConfig } from "vitest/config";

/** CI machines are shared: there a test gets a second try, and the reporter names it. Nowhere else. */
const retry = process.env.CI === undefined ? 0 : 1;

/** Unit and golden tests run side by side; what needs the machine (cluster, engine, namespaces) runs one at a time. */
export default defineConfig({
  test: {
    reporters: ["default", "./test/support/count-reporter.ts"],
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts", "test/golden/**/*.test.ts"],
          retry,
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "cluster",
          sequence: { groupOrder: 1 }, // after the unit tests, so that nothing runs beside a cluster
          globalSetup: ["./test/support/cluster-setup.ts", "./test/support/browser-setup.ts"],
          include: ["test/integration/**/*.test.ts", "test/e2e/**/*.test.ts"],
          fileParallelism: false,
          retry,
          testTimeout: 600_000,
          hookTimeout: 1_500_000,
        },
      },
      {
        test: {
          name: "browser",
          sequence: { groupOrder: 2 },
          globalSetup: ["./test/support/browser-setup.ts"],
          include: ["test/browser/**/*.test.ts"],
          fileParallelism: false,
          retry,
          testTimeout: 300_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
