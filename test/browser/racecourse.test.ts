import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accountsFrom } from "../../nodes/racecourse/accounts.ts";
import { Course, type Snapshot } from "../../nodes/racecourse/course.ts";
import { type RunningServer, startServer } from "../../nodes/racecourse/server.ts";
import { browser, seriousFindings } from "../support/browser.ts";
import { type Chain, startChain } from "../support/chain.ts";
import { betAs, openRacecourse, outcomeOf, readyAs } from "../support/racecourse.ts";

describe.skipIf(!browser.available)("in a browser, the racecourse", () => {
  let running: Browser;
  let chain: Chain;
  let course: Course;
  let server: RunningServer;
  let url: string;

  beforeAll(async () => {
    chain = await startChain();
    course = new Course({ nodes: [chain.url], accounts: accountsFrom("ef".repeat(32), 3), pollMs: 100 });
    course.start();
    server = await startServer(course, 0);
    url = `http://127.0.0.1:${server.port}/`;
    running = await browser.start();
  });
  afterAll(async () => {
    await running?.close();
    await Promise.all([server?.close(), course?.stop()]);
    await chain?.stop();
  });

  const standing = () => (JSON.parse(course.text) as Snapshot).race;
  const nextRace = () => (standing()?.race ?? 0) + 1;

  test("shows two visitors one race, from the first bet to the winner the chain names", async () => {
    const one = await openRacecourse(running, url);
    const other = await openRacecourse(running, url, { still: true });
    const race = nextRace();
    await betAs(one.page, 0, 1, 120);
    await betAs(other.page, 1, 3, 250);
    await one.page.locator("#players tr:nth-child(2):has-text('250 on Night Transit')").waitFor();
    await readyAs(one.page, 0);
    await other.page.locator("#players tr:nth-child(1):has-text('ready')").waitFor();
    await readyAs(other.page, 1);
    await one.page.locator(".lane.running").first().waitFor();
    const said = await Promise.all([one.page, other.page].map((page) => outcomeOf(page, race)));
    const { winner = -1 } = standing() ?? {};
    const name = (JSON.parse(course.text) as Snapshot).horses[winner] ?? "nobody";
    expect(said[0]).toContain(`${name} wins race ${race}`);
    expect(said[1]).toBe(said[0]);
    const marked = await one.page.locator(".lane.winner strong").allTextContents();
    expect(marked).toEqual([name]);
    expect(await other.page.locator(".lane.running").count()).toBe(0);
    for (const { errors, foreign, close } of [one, other]) {
      expect({ errors, foreign }).toEqual({ errors: [], foreign: [] });
      await close();
    }
  });

  test("is played with the keyboard alone", async () => {
    const { page, close } = await openRacecourse(running, url, { still: true });
    const race = nextRace();
    const focus = () => page.evaluate("document.activeElement.id || document.activeElement.name");
    const tabTo = async (name: string) => {
      for (let step = 0; step < 30 && (await focus()) !== name; step += 1) await page.keyboard.press("Tab");
      expect(await focus()).toBe(name);
    };
    await tabTo("horse");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await tabTo("amount");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("33");
    await page.keyboard.press("Enter");
    await page.locator("#players tr:has-text('33 on Slow Syzygy')").waitFor();
    await page.locator("#ready:enabled").waitFor();
    await tabTo("ready");
    await page.keyboard.press("Space");
    expect(await outcomeOf(page, race)).toContain("wins race");
    await close();
  });

  test("tells what the chain refuses, and what is not a bet", async () => {
    const { page, close } = await openRacecourse(running, url);
    await page.locator("#amount").fill("1000000");
    await page.locator("#bet:enabled").click();
    await page.locator("#answer.bad:has-text('The bet is 1000000 points')").waitFor();
    await page.locator("#amount").fill("0");
    await page.locator("#bet:enabled").click();
    await page.locator("#answer.bad:has-text('whole number')").waitFor();
    await close();
  });

  test.each(["light", "dark"] as const)("has no serious finding of axe, in the %s", async (scheme) => {
    const { page, close } = await openRacecourse(running, url, { scheme, instrumented: true });
    expect(await seriousFindings(page)).toEqual([]);
    await close();
  });

  test("fits a phone", async () => {
    const { page, close } = await openRacecourse(running, url, { width: 360 });
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
    await close();
  });

  test("says when nodes and server are away, and finds both again by itself", async () => {
    const { page, close } = await openRacecourse(running, url);
    const { port } = new URL(chain.url);
    await chain.stop();
    await page.locator("#problem:has-text('No node of the network answers')").waitFor();
    expect(await page.locator("#bet").isDisabled()).toBe(true);
    chain = await startChain({ port: Number(port) });
    await page.locator("#problem").waitFor({ state: "hidden" });
    await server.close();
    await page.locator("#state:has-text('Connection lost')").waitFor();
    server = await startServer(course, server.port);
    await page.locator("#state:has-text('Live')").waitFor();
    await close();
  });
});
