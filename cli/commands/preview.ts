import type { Command } from "commander";
import { sampleGraph } from "../../stacks/sample.ts";
import { targetTraits } from "../../targets/programs.ts";
import { openStackOnly } from "../open-stack.ts";
import { planText } from "../plan.ts";
import { type CommonOptions, readExperiment, type Session, targetCommand } from "../session.ts";
import { chooseTarget } from "../targets.ts";

/** `orrery preview <experiment>`: what `up` would change; without a cluster, what it would make. */
export function previewCommand(start: (options: CommonOptions) => Session): Command {
  return targetCommand("preview")
    .description("show what up would change; where no cluster runs, what it would make")
    .argument("<experiment>", "experiment file")
    .action(async (file: string, options: CommonOptions) => {
      const session = start(options);
      const loaded = await readExperiment(file, session);
      const { name, module, settings } = await chooseTarget(options);
      if ((await module.find(settings)) === undefined) {
        const resources = await sampleGraph(loaded.experiment, { run: "sample", target: await targetTraits(name) });
        session.console.info(
          `no ${name} cluster runs: this is the whole plan, not a difference (orrery up starts one)`,
        );
        session.console.result(planText(resources), { cluster: false, resources });
        return;
      }
      const stack = await openStackOnly(file, loaded, options, session);
      const { text, changes } = await stack.preview(session.signals.children);
      session.console.settle();
      session.console.result(text, { cluster: true, stack: stack.name, changes });
    });
}
