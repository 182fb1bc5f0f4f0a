import { z } from "zod";
import type { Problem } from "../schema/errors.ts";
import type { TargetSettings } from "../targets/module.ts";

/** What `--target-option` takes for minikube. The sizes are those kaleido's Quorum network was run with. */
const optionsSchema = z.strictObject({
  /** Profile, and so kubeconfig context, of the cluster. */
  profile: z
    .string()
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9-]+$/, "is not a profile name; use letters, digits and -")
    .default("orrery"),
  cpus: z
    .string()
    .regex(/^[1-9]\d{0,2}$/, "is not a number of CPUs, e.g. 4")
    .default("4"),
  memory: z
    .string()
    .regex(/^[1-9]\d*(m|mb|g|gb)$/, "is not an amount of memory, e.g. 4096mb or 4g")
    .default("4096mb"),
  disk: z
    .string()
    .regex(/^[1-9]\d*(m|mb|g|gb)$/, "is not a size of a disk, e.g. 64g")
    .default("64g"),
  nodes: z
    .string()
    .regex(/^[1-9]\d?$/, "is not a number of nodes, 1 to 99")
    .default("1"),
  /** Kubernetes version, e.g. `v1.34.2`. @default minikube's own */
  kubernetes: z
    .string()
    .regex(/^v\d+\.\d+\.\d+$/, "is not a version, e.g. v1.34.2")
    .optional(),
  /** Network plugin, e.g. `calico`, which enforces NetworkPolicies. @default minikube's own, which does not */
  cni: z.enum(["auto", "bridge", "calico", "cilium", "flannel", "kindnet"]).default("auto"),
  /** Folder of this machine to mount into the nodes: `/here:/there`. */
  mount: z
    .string()
    .regex(/^[^:]+:\/[^:]+$/, "is not <folder here>:<absolute folder there>")
    .optional(),
});

export type MinikubeOptions = z.output<typeof optionsSchema>;

/** Everything wrong with the options of the command line. */
export function optionProblems({ options }: TargetSettings): readonly Problem[] {
  const parsed = optionsSchema.safeParse(options);
  if (parsed.success) return [];
  return parsed.error.issues.map((issue) => {
    if (issue.code === "unrecognized_keys") {
      const known = Object.keys(optionsSchema.shape).join(", ");
      return {
        path: "--target-option",
        rule: `minikube has no option ${issue.keys.join(", ")}.`,
        fix: `It has ${known}.`,
      };
    }
    const [key] = issue.path;
    return { path: `--target-option ${String(key)}`, rule: `"${options[String(key)]}" ${issue.message}.` };
  });
}

/** The options with their defaults; undefined when they are wrong, which {@link optionProblems} tells. */
export function readOptions({ options }: TargetSettings): MinikubeOptions | undefined {
  return optionsSchema.safeParse(options).data;
}

/** Megabytes of `4096mb` or `4g`, as minikube counts: 1 g is 1024 m. */
export function megabytes(text: string): number {
  return Number.parseInt(text, 10) * (/gb?$/.test(text) ? 1024 : 1);
}
