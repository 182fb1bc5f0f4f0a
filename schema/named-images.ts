/** References of the images a network section names itself, whatever it calls the parts they are for. */
export function imagesNamedIn(section: unknown): string[] {
  if (typeof section !== "object" || section === null) return [];
  return Object.entries(section).flatMap(([key, value]) =>
    key === "image" && typeof value === "string" ? [value] : imagesNamedIn(value),
  );
}

/** The section without them: what is the same whichever version of its programs is run. */
export function withoutImages<Section>(section: Section): Section {
  return JSON.parse(JSON.stringify(section, (key, value: unknown) => (key === "image" ? undefined : value))) as Section;
}
