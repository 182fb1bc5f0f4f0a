import { type Check, doctor } from "../local/toolchain/doctor.ts";
import { OrreryHome } from "../local/toolchain/home.ts";
import { dockerEngine } from "../targets/docker.ts";
import type { TargetSettings } from "../targets/module.ts";
import { attempt } from "../targets/preflight.ts";
import * as minikube from "./cli.ts";
import { megabytes, readOptions } from "./settings.ts";

/** minikube, Docker, whether its cluster would fit, and the state of its profile. */
export async function minikubePreflight(settings: TargetSettings): Promise<readonly Check[]> {
  const machine = await doctor(OrreryHome.fromEnvironment(), { target: "context" });
  const options = readOptions(settings);
  if (options === undefined) return machine;
  const profile = settings.context || options.profile;
  return [
    ...machine,
    await attempt("minikube", "v1.32 or later", () => minikube.version()),
    await attempt("docker", "an engine that answers, with room for the nodes", async () => {
      const engine = await dockerEngine();
      const found = `${engine.version}, ${engine.cpus} CPUs, ${Math.floor(engine.memory / 2 ** 20)} MB`;
      const fits = megabytes(options.memory) * Number(options.nodes) <= engine.memory / 2 ** 20;
      const enough = fits && Number(options.cpus) <= engine.cpus;
      return enough ? found : { found, fix: "Ask for less: --target-option memory=<size> cpus=<number>" };
    }),
    await attempt("profile", "none, or one with the driver docker", async () => {
      const found = (await minikube.profiles()).find((one) => one.name === profile);
      if (found === undefined) return `${profile} would be made`;
      const state = `${profile}, driver ${found.driver || "unknown"}, ${found.running ? "running" : "stopped"}`;
      const good = found.valid && found.driver === "docker";
      return good ? state : { found: state, fix: "Use another profile: --target-option profile=<name>" };
    }),
  ];
}
