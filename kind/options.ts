import type { Problem } from "../schema/errors.ts";
import type { TargetSettings } from "../targets/module.ts";

/** A kind cluster as the settings of a stack want it. */
export interface KindOptions {
  /** Name of the cluster, as `kind get clusters` lists it. */
  readonly cluster: string;
  /** Nodes: one control plane, the others workers. */
  readonly nodes: number;
  /** Ports of the host that lead to 80 and 443 of the first node, for an ingress controller; absent: none. */
  readonly httpPort?: number;
  readonly httpsPort?: number;
  /** `auto`: the official image, where it cannot be had one built here; `built`; or a reference. */
  readonly nodeImage: string;
}

/** What `--target-option` may name, with its default and meaning. */
export const kindOptions = {
  cluster: { fallback: "orrery", rule: "1 to 40 lower-case letters, digits and hyphens" },
  nodes: { fallback: "1", rule: "a number from 1 to 16" },
  "http-port": { fallback: "", rule: "a port of this machine, 1 to 65535" },
  "https-port": { fallback: "", rule: "a port of this machine, 1 to 65535" },
  "node-image": { fallback: "auto", rule: "auto, built, or an image reference" },
} as const;

type OptionName = keyof typeof kindOptions;

const accepts: Readonly<Record<OptionName, (value: string) => boolean>> = {
  cluster: (value) => /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/.test(value),
  nodes: (value) => isNumber(value, 16),
  "http-port": (value) => value === "" || isNumber(value, 65_535),
  "https-port": (value) => value === "" || isNumber(value, 65_535),
  "node-image": (value) => /^\S+$/.test(value),
};

/** What is wrong with the settings, all at once. */
export function kindProblems({ context, options }: TargetSettings): Problem[] {
  const problems: Problem[] = [];
  if (context !== undefined) {
    const fix = "Leave out --context, or leave out --target kind to use that context as it is.";
    problems.push({ path: "--context", rule: "target kind has a context of its own.", fix });
  }
  for (const [name, value] of Object.entries(options)) {
    const path = `--target-option ${name}`;
    if (!isOption(name)) {
      const known = Object.keys(kindOptions).join(", ");
      problems.push({ path, rule: `target kind has no option "${name}".`, fix: `It has ${known}.` });
    } else if (!accepts[name](value)) {
      problems.push({ path, rule: `"${value}" is not ${kindOptions[name].rule}.`, fix: `Write ${name}=<value>.` });
    }
  }
  return problems;
}

/** The options of checked settings. */
export function kindOptionsOf({ options }: TargetSettings): KindOptions {
  const value = (name: OptionName) => options[name] ?? kindOptions[name].fallback;
  const port = (name: "http-port" | "https-port") => (value(name) === "" ? undefined : Number(value(name)));
  const httpPort = port("http-port");
  const httpsPort = port("https-port");
  return {
    cluster: value("cluster"),
    nodes: Number(value("nodes")),
    ...(httpPort === undefined ? {} : { httpPort }),
    ...(httpsPort === undefined ? {} : { httpsPort }),
    nodeImage: value("node-image"),
  };
}

/** The context kind gives a cluster of this name. */
export const contextOf = (cluster: string): string => `kind-${cluster}`;

function isOption(name: string): name is OptionName {
  return Object.hasOwn(kindOptions, name);
}

function isNumber(value: string, max: number): boolean {
  return /^[1-9]\d*$/.test(value) && Number(value) <= max;
}
