/**
 * Strikes CAP_SYS_RESOURCE from the container (`config.json`) or process description given as argument: where root lacks
 * it, runc refuses to start what asks for it; docs/decisions/0011.
 */
import { readFileSync, writeFileSync } from "node:fs";

interface Process {
  readonly capabilities?: Record<string, string[]>;
}

const [, , file = ""] = process.argv;
const description = JSON.parse(readFileSync(file, "utf8")) as Process & { readonly process?: Process };
const sets = (description.process ?? description).capabilities ?? {};
for (const name of Object.keys(sets)) {
  sets[name] = (sets[name] ?? []).filter((capability) => capability !== "CAP_SYS_RESOURCE");
}
writeFileSync(file, JSON.stringify(description));
