const help = {
  request: "Requests of the node and of clients, by what was asked and HTTP status class.",
  push: "Attempts to give a payload to another member, by outcome.",
  received: "Payloads taken from other members, by outcome.",
} as const;

type Family = keyof typeof help;

/** Counters in the Prometheus text format. */
export class Metrics {
  readonly #counts = new Map<Family, Map<string, number>>();

  count(family: Family, outcome: string): void {
    const counts = this.#counts.get(family) ?? new Map<string, number>();
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    this.#counts.set(family, counts);
  }

  /** @param payloads How many are kept. */
  text(payloads: number): string {
    const families = (Object.keys(help) as Family[]).flatMap((family) => {
      const name = `orrery_ptm_${family}_total`;
      const samples = [...(this.#counts.get(family) ?? [])];
      return [
        `# HELP ${name} ${help[family]}`,
        `# TYPE ${name} counter`,
        ...samples.map(([outcome, count]) => `${name}{outcome="${outcome}"} ${count}`),
      ];
    });
    const kept = ["# HELP orrery_ptm_payloads Payloads kept.", "# TYPE orrery_ptm_payloads gauge"];
    return `${[...families, ...kept, `orrery_ptm_payloads ${payloads}`].join("\n")}\n`;
  }
}
