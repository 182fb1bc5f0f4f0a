/** Whether clusters of a target run images of public registries; the local one reaches no network. */
export const targetPulls = (target: string): boolean => target !== "local";
