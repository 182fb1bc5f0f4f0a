import { join } from "node:path";
import { OrreryHome } from "../../local/toolchain/home.ts";

const home = OrreryHome.fromEnvironment();

/** Variables for Go in tests: static programs, nothing written beside the sources, caches of the user's tool cache. */
export const goEnvironment: NodeJS.ProcessEnv = {
  CGO_ENABLED: "0",
  GOFLAGS: "-mod=readonly",
  GOCACHE: process.env.GOCACHE ?? join(home.go, "build"),
  GOMODCACHE: process.env.GOMODCACHE ?? join(home.go, "mod"),
};
