import { spawn } from "node:child_process";
import type { Console } from "./console.ts";

/** Opens a file or an address in the user's browser; where that fails, says so and goes on. */
export function openInBrowser(what: string, console: Console): void {
  const opener = process.platform === "darwin" ? "open" : "xdg-open";
  spawn(opener, [what], { detached: true, stdio: "ignore" })
    .on("error", () => console.warn(`${opener} cannot be started; open ${what} yourself`))
    .unref();
}
