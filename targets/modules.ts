import type { TargetModule } from "./module.ts";

/** The targets of the command line. Each is loaded when it is chosen. */
const modules = {
  local: async () => (await import("../local/connection.ts")).localModule,
  minikube: async () => (await import("../minikube/connection.ts")).minikubeModule,
  kind: async () => (await import("../kind/connection.ts")).kindModule,
  eks: async () => (await import("../eks/connection.ts")).eksModule,
  context: async () => (await import("./context/connection.ts")).contextModule,
} as const satisfies Readonly<Record<string, () => Promise<TargetModule>>>;

/** Name of a target. */
export type TargetName = keyof typeof modules;

/** Every target, in the order they are told to people. */
export const targetNames = Object.keys(modules) as readonly TargetName[];

export function isTargetName(name: string): name is TargetName {
  return Object.hasOwn(modules, name);
}

export async function targetModule(name: TargetName): Promise<TargetModule> {
  return await modules[name]();
}
