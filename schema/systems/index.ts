import { kv } from "./kv.ts";

/** Every system an experiment can describe. Adding one is a line here and a line in components/systems.ts. */
export const systems = { kv } as const;

export type SystemName = keyof typeof systems;
export const systemNames = Object.keys(systems) as readonly SystemName[];
