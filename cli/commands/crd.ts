import { Command, Option } from "commander";
import { stringify } from "yaml";
import { customResourceDefinitions, type Spelling, spellings } from "../../schema/keramik/crd.ts";
import type { CommonOptions, Session } from "../session.ts";

interface CrdOptions extends CommonOptions {
  readonly spelling: Spelling;
}

/** `orrery crd`: what makes an API server check Keramik's resources. */
export function crdCommand(start: (options: CrdOptions) => Session): Command {
  return new Command("crd")
    .description("write CustomResourceDefinitions of Keramik's Network and Simulation: checked, not reconciled")
    .addOption(
      new Option("--spelling <name>", "today's fields, those of Keramik's first README, or either")
        .choices(spellings)
        .default("both"),
    )
    .option("--json", "print them as JSON")
    .action((options: CrdOptions) => {
      const definitions = customResourceDefinitions(options.spelling);
      const yaml = definitions
        .map((definition) => stringify(definition, { aliasDuplicateObjects: false }))
        .join("---\n");
      start(options).console.result(yaml.trimEnd(), definitions);
    });
}
