import { readFile } from "node:fs/promises";
import { accountsFrom } from "./accounts.ts";
import { Course } from "./course.ts";
import { log, messageOf } from "./log.ts";
import { startServer } from "./server.ts";
import { settingsFrom } from "./settings.ts";

async function main(): Promise<void> {
  const settings = settingsFrom(process.env);
  const accounts = accountsFrom(await readFile(settings.keyFile, "utf8"), settings.players);
  const course = new Course({ nodes: settings.nodes, accounts, pollMs: settings.pollMs });
  course.start();
  const server = await startServer(course, settings.port);
  log("info", "the racecourse serves", { port: server.port, nodes: settings.nodes });
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, async () => {
      log("info", "the racecourse stops", { signal });
      await Promise.all([server.close(), course.stop()]);
      process.exit(0);
    });
  }
}

await main().catch((error: unknown) => {
  log("error", "the racecourse cannot start", { problem: messageOf(error) });
  process.exit(3);
});
