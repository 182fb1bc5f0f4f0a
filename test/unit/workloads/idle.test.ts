import { expect, test } from "vitest";
import { watchIdle } from "../../../workloads/core/idle.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

const never = new AbortController().signal;

async function watched(leadUs: number, roundTripMs: (asked: number) => Promise<number>) {
  const clock = new VirtualClock(1000e6);
  let asked = 0;
  const conductor = {
    roundTripMs: () => {
      asked += 1;
      return roundTripMs(asked);
    },
  };
  const work = watchIdle(clock, 1000e6 + leadUs, conductor, never);
  await clock.runUntil(work);
  return { idle: await work, asked, leftUs: 1000e6 + leadUs - clock.nowUs() };
}

test("the idle window ends before the load begins, with every round trip in it", async () => {
  const { idle, asked, leftUs } = await watched(1_250_300, (count) => Promise.resolve(count === 7 ? 9 : 2));
  expect(leftUs).toBe(50_000);
  expect(idle?.windowMs).toBe(1_200.3);
  expect(asked).toBe(121);
  expect(idle?.roundTripMs?.p50).toBeCloseTo(2, 2);
  expect(idle?.roundTripMs?.max).toBeCloseTo(9, 1);
});

test("a conductor that does not answer leaves the window without round trips", async () => {
  const { idle, leftUs } = await watched(1_250_300, () => Promise.reject(new Error("refused")));
  expect(leftUs).toBe(50_000);
  expect(idle).toMatchObject({ windowMs: 1_200.3, roundTripMs: null });
});

test("too little time before the start is no window", async () => {
  const { idle, asked } = await watched(240_000, () => Promise.resolve(1));
  expect([idle, asked]).toEqual([undefined, 0]);
});
