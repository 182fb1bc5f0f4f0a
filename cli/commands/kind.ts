import { Command } from "commander";
import { deleteCluster, kindState } from "../../kind/cluster.ts";
import { kindContext } from "../../kind/connection.ts";
import { dockerInfo } from "../../kind/docker.ts";
import { kindOptions } from "../../kind/options.ts";
import type { CommonOptions, Session } from "../session.ts";

interface KindCommandOptions extends CommonOptions {
  readonly name: string;
}

/** `orrery kind down|status`: the cluster that `--target kind` made. */
export function kindCommand(start: (options: CommonOptions) => Session): Command {
  const verb = (name: string, description: string, action: (cluster: string, session: Session) => Promise<void>) =>
    new Command(name)
      .description(description)
      .option("--name <cluster>", "name of the cluster", kindOptions.cluster.fallback)
      .option("--json", "print the result as JSON")
      .action(async (options: KindCommandOptions) => {
        const session = start(options);
        await dockerInfo({ signal: session.signals.command });
        await action(options.name, session);
        session.console.settle();
      });
  return new Command("kind")
    .description("the kind cluster that --target kind makes")
    .addCommand(
      verb("down", "delete it and everything in it", async (cluster, session) => {
        const { progress } = session.console;
        const { context } = await kindContext({ progress, signal: session.signals.command });
        await deleteCluster(context, cluster);
        session.console.result(`the kind cluster ${cluster} is gone`, { cluster, state: "absent" });
      }),
    )
    .addCommand(
      verb("status", "say whether it runs", async (cluster, session) => {
        const found = await kindState(cluster);
        const detail = found.state === "broken" ? ` (${found.detail})` : "";
        session.console.result(`kind cluster ${cluster}: ${found.state}${detail}`, { cluster, ...found });
      }),
    );
}
