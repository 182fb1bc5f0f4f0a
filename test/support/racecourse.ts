import type { Browser, Page } from "playwright-core";

/** The page of the racecourse, opened, and what it did that it must not. */
export interface RacecoursePage {
  readonly page: Page;
  /** Errors and warnings on the console or in a script. */
  readonly errors: string[];
  /** Requests to other hosts. */
  readonly foreign: string[];
  close(): Promise<void>;
}

export interface OpenOptions {
  readonly scheme?: "light" | "dark";
  readonly width?: number;
  /** Shows the end of a race at once. */
  readonly still?: boolean;
  /** Lets a test run scripts of its own where the page's policy forbids all. */
  readonly instrumented?: boolean;
}

/** Opens the page as a visitor would and waits for the race. */
export async function openRacecourse(
  running: Browser,
  url: string,
  options: OpenOptions = {},
): Promise<RacecoursePage> {
  const context = await running.newContext({
    colorScheme: options.scheme ?? "light",
    viewport: { width: options.width ?? 1_100, height: 900 },
    reducedMotion: options.still === true ? "reduce" : "no-preference",
    bypassCSP: options.instrumented === true,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  const errors: string[] = [];
  const foreign: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("request", (request) => {
    if (new URL(request.url()).host !== new URL(url).host) foreign.push(request.url());
  });
  await page.goto(url, { waitUntil: "load" });
  await page.locator("#race:not(:text-is('–'))").waitFor();
  return { page, errors, foreign, close: () => context.close() };
}

/** Bets for a player and waits until the chain has it. */
export async function betAs(page: Page, player: number, horse: number, points: number): Promise<void> {
  await page.locator("#player").selectOption(`${player}`);
  await page.locator(`.lane input[value="${horse}"]`).check({ force: true });
  await page.locator("#amount").fill(`${points}`);
  await page.locator("#bet:enabled").click();
  await page.locator("#ready:enabled").waitFor();
}

/** Says that a player is ready and waits until the chain has it. */
export async function readyAs(page: Page, player: number): Promise<void> {
  await page.locator("#player").selectOption(`${player}`);
  await page.locator("#ready:enabled").click();
  await page.locator("#answer:has-text('Ready in block')").waitFor();
}

/** What the page says of a race once it is over. */
export async function outcomeOf(page: Page, race: number): Promise<string> {
  const result = page.locator(`#result:has-text("wins race ${race}")`);
  await result.waitFor();
  return (await result.textContent()) ?? "";
}
