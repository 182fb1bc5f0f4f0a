import { z } from "zod";

const url = z.url({ protocol: /^https?$/, error: "is no http(s) address" });

const environmentSchema = z.object({
  /** JSON-RPC addresses of the network's nodes, with spaces or commas between them. */
  RACECOURSE_NODES: z
    .string()
    .transform((text) => text.split(/[\s,]+/).filter((part) => part !== ""))
    .pipe(z.array(url).min(1).max(100)),
  /** File with the 32-byte key, in hex, that all accounts are derived from. */
  RACECOURSE_KEY_FILE: z.string().min(1),
  RACECOURSE_PLAYERS: z.coerce.number().int().min(1).max(32).default(4),
  RACECOURSE_HTTP_PORT: z.coerce.number().int().min(0).max(65_535).default(3000),
  /** Milliseconds between two looks at the chain. */
  RACECOURSE_POLL_MS: z.coerce.number().int().min(50).max(60_000).default(500),
});

export interface Settings {
  readonly nodes: readonly string[];
  readonly keyFile: string;
  readonly players: number;
  readonly port: number;
  readonly pollMs: number;
}

/** @throws z.ZodError naming every variable that is wrong */
export function settingsFrom(environment: Readonly<Record<string, string | undefined>>): Settings {
  const parsed = environmentSchema.parse(environment);
  return {
    nodes: parsed.RACECOURSE_NODES,
    keyFile: parsed.RACECOURSE_KEY_FILE,
    players: parsed.RACECOURSE_PLAYERS,
    port: parsed.RACECOURSE_HTTP_PORT,
    pollMs: parsed.RACECOURSE_POLL_MS,
  };
}
