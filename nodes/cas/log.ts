/** One line of JSON on stdout. */
export function log(level: "info" | "error", message: string, details: object = {}): void {
  console.log(JSON.stringify({ at: new Date().toISOString(), level, message, ...details }));
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
