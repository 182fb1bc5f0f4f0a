import { stat } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import axe, { type AxeResults } from "axe-core";
import { type Browser, chromium, type Page } from "playwright-core";
import { inject } from "vitest";

const provided = inject("browser");

export const browser = {
  available: provided.executable !== undefined,
  /** Starts a browser without a window; the caller closes it. */
  async start(): Promise<Browser> {
    if (provided.executable === undefined) {
      throw new Error(`no browser: ${provided.reason}`);
    }
    const args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"];
    return await chromium.launch({ executablePath: provided.executable, args: [...args, "--disable-sync"] });
  },
};

/** A page that was opened, and what it did that a report must not. */
export interface Visit {
  readonly page: Page;
  /** Errors on the console or in a script. */
  readonly errors: string[];
  /** Requests for anything but the file itself; none was let through. */
  readonly requests: string[];
  readonly bytes: number;
  close(): Promise<void>;
}

export interface VisitOptions {
  readonly scheme?: "light" | "dark";
  readonly width?: number;
  /** Lets a test run scripts of its own where the page's policy forbids all. */
  readonly instrumented?: boolean;
}

/** Opens a file of this machine as a reader would, with everything else out of reach. */
export async function visit(running: Browser, file: string, options: VisitOptions = {}): Promise<Visit> {
  const context = await running.newContext({
    colorScheme: options.scheme ?? "light",
    viewport: { width: options.width ?? 1_100, height: 900 },
    bypassCSP: options.instrumented === true,
  });
  const page = await context.newPage();
  const errors: string[] = [];
  const requests: string[] = [];
  const address = pathToFileURL(file).href;
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") {
      errors.push(message.text());
    }
  });
  page.on("pageerror", (error) => errors.push(error.message));
  await page.route("**/*", async (route) => {
    if (route.request().url() === address) {
      await route.continue();
    } else {
      requests.push(route.request().url());
      await route.abort();
    }
  });
  await page.goto(address, { waitUntil: "load" });
  return { page, errors, requests, bytes: (await stat(file)).size, close: () => context.close() };
}

/** What axe finds serious or critical, one line each. */
export async function seriousFindings(page: Page): Promise<string[]> {
  await page.addScriptTag({ content: axe.source });
  const results = await page.evaluate(async () => {
    const { axe: injected } = globalThis as unknown as { axe: { run(): Promise<AxeResults> } };
    return await injected.run();
  });
  return results.violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, help, nodes }) =>
      nodes.map(({ html, target }) => `${id}: ${help}: ${target.join(" ")} ${html.slice(0, 160)}`),
    );
}
