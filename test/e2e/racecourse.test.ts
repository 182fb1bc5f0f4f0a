import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CoreV1Api, KubeConfig, NetworkingV1Api } from "@kubernetes/client-node";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { forwardPort } from "../../cli/forward.ts";
import { readStanding } from "../../nodes/racecourse/contract.ts";
import { JsonRpc } from "../../nodes/racecourse/rpc.ts";
import { browser } from "../support/browser.ts";
import { orrery } from "../support/cli.ts";
import { cluster } from "../support/cluster.ts";
import { betAs, openRacecourse, outcomeOf, readyAs } from "../support/racecourse.ts";

/** The page as people reach it: through the ingress, from a Deployment, against GoQuorum nodes. */
const name = `race-${process.pid}`;
const namespace = `orrery-${name}`;
const experiment = `schema: orrery/v1
name: ${name}
seed: 5
network:
  system: quorum
  nodes: 2
  bootnode: false
  storage: 256Mi
  racecourse: {replicas: 2}
workload:
  operations: {transfer: 1}
  arrival: {rate: 1/s}
  phases: {warmup: 1s, measure: 10s}
`;

const openedSchema = z.object({ url: z.url() });
const stateSchema = z.object({
  contract: z.string(),
  horses: z.array(z.string()),
  nodes: z.array(z.object({ name: z.string(), up: z.boolean(), role: z.string(), peers: z.number() })),
});

describe.skipIf(!cluster.available || !browser.available)("the racecourse on the local cluster", () => {
  let folder: string;
  let file: string;
  let env: NodeJS.ProcessEnv;
  let running: Browser;
  let url: string;
  const config = new KubeConfig();

  beforeAll(async () => {
    env = cluster.environment();
    config.loadFromFile(cluster.kubeconfig());
    folder = await mkdtemp(join(tmpdir(), "orrery-race-"));
    file = join(folder, "experiment.yaml");
    await writeFile(file, experiment);
    const outcome = await orrery(["up", file], env);
    expect(outcome.code, outcome.stderr).toBe(0);
    running = await browser.start();
  }, 3_600_000); // with an empty cache GoQuorum is compiled first

  afterAll(async () => {
    await running?.close();
    if (file !== undefined) {
      await orrery(["destroy", file, "--remove"], env);
      await rm(folder, { recursive: true, force: true });
    }
  });

  const state = async () => stateSchema.parse(await (await fetch(`${url}api/state`)).json());

  test("orrery open says where the ingress serves it", async () => {
    const ingresses = config.makeApiClient(NetworkingV1Api);
    await expect
      .poll(
        async () => {
          const { status } = await ingresses.readNamespacedIngress({ name: "racecourse", namespace });
          return (await fetch(`http://${status?.loadBalancer?.ingress?.[0]?.ip}/readyz`)).status;
        },
        { timeout: 120_000, interval: 2_000 },
      )
      .toBe(200);
    const outcome = await orrery(["open", "racecourse", name, "--no-browser", "--json"], env);
    expect(outcome.code, outcome.stderr).toBe(0);
    url = openedSchema.parse(JSON.parse(outcome.stdout)).url;
    expect(new URL(url).hostname).not.toBe("127.0.0.1");
  });

  test("a race is played by two visitors to the winner that every node knows", async () => {
    const one = await openRacecourse(running, url);
    const other = await openRacecourse(running, url);
    await betAs(one.page, 0, 1, 120);
    await betAs(other.page, 1, 3, 250);
    await one.page.locator("#players tr:nth-child(2):has-text('250 on Night Transit')").waitFor();
    const picture = process.env.ORRERY_SCREENSHOTS;
    await readyAs(one.page, 0);
    await readyAs(other.page, 1);
    if (picture !== undefined) {
      await one.page.locator(".lane.running").first().waitFor();
      await one.page.waitForTimeout(3_000); // half of the way
      const nodes = await one.page.locator("#nodes").boundingBox();
      const height = Math.ceil((nodes?.y ?? 800) + (nodes?.height ?? 0) + 24);
      const clip = { x: 0, y: 0, width: 1_100, height };
      await one.page.screenshot({ path: join(picture, "racecourse.png"), fullPage: true, clip });
    }
    const said = await outcomeOf(one.page, 1);
    expect(await outcomeOf(other.page, 1)).toBe(said);
    const { contract, horses } = await state();
    for (const pod of ["quorum-0", "quorum-1"]) {
      const forwarding = await forwardPort(config, { namespace, pod, port: 8545 }, 0, () => {});
      try {
        const standing = await readStanding(new JsonRpc(forwarding.url, 20_000), contract);
        expect(standing).toMatchObject({ race: 1, finished: true, bets: [{ amount: 120 }, { amount: 250 }] });
        expect(said).toContain(`${horses[standing.winner]} wins race 1`);
      } finally {
        await forwarding.close();
      }
    }
    for (const { errors, foreign, close } of [one, other]) {
      expect({ errors, foreign }).toEqual({ errors: [], foreign: [] });
      await close();
    }
  });

  test("tells of each node what it is", async () => {
    await expect
      .poll(async () => (await state()).nodes, { timeout: 60_000, interval: 2_000 })
      .toEqual(["quorum-0", "quorum-1"].map((node) => ({ name: node, up: true, role: "validator", peers: 1 })));
  });

  test("an open page outlives the pods that serve it, and the race stays as it was", async () => {
    const { page, close } = await openRacecourse(running, url);
    const { contract } = await state();
    const core = config.makeApiClient(CoreV1Api);
    const labelSelector = "app.kubernetes.io/name=racecourse";
    const ready = async () =>
      (await core.listNamespacedPod({ namespace, labelSelector })).items
        .filter(({ status }) => status?.conditions?.some((one) => one.type === "Ready" && one.status === "True"))
        .map(({ metadata }) => metadata?.name ?? "");
    const before = await ready();
    expect(before).toHaveLength(2);
    await core.deleteCollectionNamespacedPod({ namespace, labelSelector });
    await expect
      .poll(async () => (await ready()).filter((pod) => !before.includes(pod)).length, {
        timeout: 180_000,
        interval: 2_000,
      })
      .toBe(2);
    await page.locator("#state:has-text('Live')").waitFor();
    await betAs(page, 2, 4, 10); // through the connection that was made anew
    await expect.poll(async () => (await state()).contract, { timeout: 120_000, interval: 2_000 }).toBe(contract);
    await close();
  });

  test("a second preview shows no change", async () => {
    const preview = await orrery(["preview", file, "--json"], env);
    expect(JSON.parse(preview.stdout)).toMatchObject({ changes: 0 });
  });
});
