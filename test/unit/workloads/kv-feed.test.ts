import { afterEach, beforeEach, expect, test } from "vitest";
import type { FeedDelivery, MemberFeed } from "../../../workloads/core/connector.ts";
import { followFeed } from "../../../workloads/kv/feed.ts";
import { until } from "./support/processes.ts";
import { type StubMember, startStubNetwork } from "./support/stub-kv.ts";

let members: StubMember[];

beforeEach(async () => {
  members = await startStubNetwork(2);
});

afterEach(async () => {
  await Promise.all(members.map((member) => member.stop()));
});

function memberAt(ordinal: number): StubMember {
  const member = members[ordinal];
  if (member === undefined) {
    throw new Error(`no member ${ordinal}`);
  }
  return member;
}

/** Keeps what a stream told, in words. */
class Notes implements MemberFeed {
  readonly endpoint;
  cursor: string | null = null;
  readonly told: string[] = [];

  constructor(member: StubMember) {
    this.endpoint = member.endpoint;
  }

  delivered(take: (delivery: FeedDelivery) => void): void {
    take({
      opened: (whole) => this.told.push(whole ? "whole" : "opened"),
      seen: (event, memberUs, replayed) => {
        expect(memberUs).toBeGreaterThan(1.6e15);
        this.told.push(`${event}${replayed ? " replayed" : ""}`);
      },
      caughtUp: (covers, replayed) => {
        const upTo = [9, 8, 7, 6, 5, 4, 3, 2, 1, 0].find((index) => covers(String(index)));
        this.told.push(`up to ${upTo}${replayed ? " replayed" : ""}`);
      },
      reached: (cursor) => {
        this.cursor = cursor;
      },
    });
  }
}

const put = async (member: StubMember, key: string): Promise<void> => {
  const answer = await fetch(`${member.endpoint.url}/kv/${key}`, { method: "PUT", body: "v" });
  expect(answer.status).toBe(200);
};

test("a stream tells how far the member is, then every change of the prefix, whoever took it", async () => {
  const notes = new Notes(memberAt(1));
  await put(memberAt(0), "w0-old");
  const stop = new AbortController();
  const following = followFeed(notes, "w0-", stop.signal).catch((error: Error) => error.name);
  await until(() => notes.told.length === 2);
  await put(memberAt(0), "w0-a");
  await put(memberAt(0), "w1-b");
  await put(memberAt(1), "w0-c");
  await until(() => notes.told.length === 4);
  expect(notes.told).toEqual(["whole", "up to 1 replayed", "2", "4"]);
  expect(notes.cursor).toBe("4");
  stop.abort();
  expect(await following).toBe("AbortError");
});

test("a stream that breaks off says why, and the next goes on from where it was", async () => {
  const member = memberAt(0);
  const notes = new Notes(member);
  const stop = new AbortController();
  const first = followFeed(notes, "", stop.signal);
  const failed = expect(first).rejects.toThrow("too_slow: said the test");
  await until(() => notes.told.length === 2);
  await put(member, "a");
  await until(() => notes.told.includes("1"));
  member.feed.end("too_slow");
  await failed;
  await put(member, "b");
  const second = followFeed(notes, "", stop.signal).catch(() => undefined);
  await until(() => notes.told.includes("2 replayed"));
  await put(member, "c");
  await until(() => notes.told.includes("3"));
  expect(notes.told).toEqual(["whole", "up to 0 replayed", "1", "whole", "up to 1 replayed", "2 replayed", "3"]);
  expect(member.feed.asked).toEqual(["prefix=", "prefix=&after=1"]);
  stop.abort();
  await second;
});

test("a member that is gone, or speaks otherwise, is an error that says so", async () => {
  const signal = AbortSignal.timeout(20_000);
  const gone = new Notes(memberAt(0));
  await memberAt(0).stop();
  await expect(followFeed(gone, "", signal)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  const member = memberAt(1);
  const other = new Notes(member);
  member.feed.answer = (_, response) => void response.writeHead(503).end('{"code":"shutting_down"}');
  await expect(followFeed(other, "", signal)).rejects.toThrow('answered 503 {"code":"shutting_down"}');
  member.feed.answer = (_, response) => void response.writeHead(200).end("<html>\n");
  await expect(followFeed(other, "", signal)).rejects.toThrow(/JSON/);
});
