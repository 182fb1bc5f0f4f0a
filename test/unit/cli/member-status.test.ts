import { describe, expect, test } from "vitest";
import { memberStatuses, statusText } from "../../../cli/member-status.ts";

const member = (ordinal: number, peerId?: string) => ({
  group: "g",
  ordinal,
  pod: `g-${ordinal}`,
  url: `http://g-${ordinal}:1`,
  ...(peerId === undefined ? {} : { attributes: { peerId } }),
});
const pod = (name: string, ready: boolean, restartCount = 0) => ({
  metadata: { name },
  status: {
    phase: "Running",
    conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
    containerStatuses: [{ name: "c", image: "", imageID: "", ready, restartCount }],
  },
});

describe("members of a deployed network", () => {
  const members = [member(0, "A"), member(1, "B"), member(2, "C")];
  const statuses = memberStatuses(
    members,
    [pod("g-0", true), pod("g-1", false, 3)],
    new Map([
      ["g-0", ["B", "B", "stranger"]],
      ["g-1", []],
    ]),
  );

  test("are joined with their pods, and strangers are not counted", () => {
    expect(statuses).toMatchObject([
      { ordinal: 0, ready: true, phase: "Running", restarts: 0, connections: 1 },
      { ordinal: 1, ready: false, phase: "Running", restarts: 3, connections: 0 },
      { ordinal: 2, ready: false, phase: "missing", restarts: 0, connections: null },
    ]);
  });

  test("are shown one a line after how many are ready", () => {
    expect(statusText(statuses).split("\n")).toEqual([
      "1 of 3 members are ready",
      "g-0  ready                 restarts 0    connected to 1    A",
      "g-1  not ready (Running)   restarts 3    connected to 0    B",
      "g-2  not ready (missing)   restarts 0    C",
    ]);
    expect(statusText(memberStatuses([member(0)], [pod("g-0", true)], new Map()))).toBe(
      "1 of 1 members are ready\ng-0  ready                 restarts 0",
    );
  });
});
