import { join } from "node:path";
import { inject } from "vitest";

/** The cluster of this test run, or why there is none. Set up and taken down once by cluster-setup.ts. */
const provided = inject("cluster");

export const cluster = {
  reason: provided.reason,
  /** What the conformance suite of the kubernetes plugin needs besides the cluster. */
  conformance: provided.conformance,
  /** False where no local cluster can run; tests are then skipped, or fail with ORRERY_REQUIRE_CLUSTER=1. */
  available: provided.home !== undefined,
  /** Home of the tests; its cache is the user's. */
  home(): string {
    if (provided.home === undefined) {
      throw new Error(`no cluster: ${provided.reason}`);
    }
    return provided.home;
  },
  kubeconfig: (): string => join(cluster.home(), "clusters", "local", "kubeconfig"),
  /** Variables under which `orrery` acts on the tests' own cluster. */
  environment: (): NodeJS.ProcessEnv => ({ ORRERY_HOME: cluster.home(), ORRERY_CACHE: provided.cache }),
};
