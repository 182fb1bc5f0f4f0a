import { Command } from "commander";
import { type ClusterInfo, clusterDown, clusterReset, clusterStatus, clusterUp } from "../../local/cluster/index.ts";
import { OrreryHome } from "../../local/toolchain/home.ts";
import type { CommonOptions, Session } from "../session.ts";

/** `orrery local up|down|status|reset`: the embedded cluster. */
export function localCommand(start: (options: CommonOptions) => Session): Command {
  const verb = (name: string, description: string, action: (home: OrreryHome, session: Session) => Promise<void>) =>
    new Command(name)
      .description(description)
      .option("--json", "print the result as JSON")
      .action(async (options: CommonOptions) => {
        const session = start(options);
        await action(OrreryHome.fromEnvironment(), session);
        session.console.settle();
      });
  return new Command("local")
    .description("the embedded Kubernetes of this machine")
    .addCommand(
      verb("up", "start it, making its tools first where they are missing", async (home, session) => {
        const cluster = await clusterUp(home, { progress: session.console.progress, signal: session.signals.command });
        session.console.result(describe(cluster), cluster);
      }),
    )
    .addCommand(
      verb("down", "stop it; what is in it is kept", async (home, session) => {
        await clusterDown(home, { progress: session.console.progress });
        session.console.result("the local cluster is stopped", { state: "stopped" });
      }),
    )
    .addCommand(
      verb("status", "say whether it runs", async (home, session) => {
        const cluster = await clusterStatus(home);
        session.console.result(describe(cluster), cluster);
      }),
    )
    .addCommand(
      verb("reset", "stop it and delete everything in it; tools and images are kept", async (home, session) => {
        await clusterReset(home, { progress: session.console.progress });
        session.console.result("the local cluster is gone", { state: "absent" });
      }),
    );
}

function describe(cluster: ClusterInfo): string {
  const use =
    cluster.state === "running"
      ? `\nuse it  KUBECONFIG=${cluster.kubeconfigPath} kubectl --context ${cluster.context} get pods -A`
      : "";
  return `local cluster ${cluster.name}: ${cluster.state}${use}`;
}
