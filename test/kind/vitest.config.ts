import { defineConfig } from "vitest/config";

/** `npm run test:kind`: kind for real, on the machine's Docker or a private one. Minutes; no part of `npm test`. */
export default defineConfig({
  test: { include: ["test/kind/**/*.test.ts"], testTimeout: 1_800_000, hookTimeout: 1_800_000 },
});
