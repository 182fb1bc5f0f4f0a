import type { z } from "zod";
import { ceramic } from "./ceramic.ts";
import { kv } from "./kv.ts";
import { quorum } from "./quorum.ts";
import type { SystemDefinition } from "./system.ts";

/** Every system an experiment can describe. Adding one is a line here and a line in components/systems.ts. */
export const systems = { ceramic, kv, quorum } as const;

export type SystemName = keyof typeof systems;
export const systemNames = Object.keys(systems) as readonly SystemName[];

type AnyNetwork = z.output<(typeof systems)[SystemName]["network"]>;

/** The definition that fits a network section, to be asked about it. */
export function systemOf(network: AnyNetwork): SystemDefinition<SystemName, z.ZodType<AnyNetwork>, z.ZodType> {
  return systems[network.system] as SystemDefinition<SystemName, z.ZodType<AnyNetwork>, z.ZodType>;
}
