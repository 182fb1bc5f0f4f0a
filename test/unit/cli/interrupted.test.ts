import { spawnSync } from "node:child_process";
import { hostname } from "node:os";
import { describe, expect, test } from "vitest";
import { livingHolders, settled } from "../../../cli/interrupted.ts";

const refusal = (...holders: readonly [host: string, pid: number][]) =>
  [
    `error: the stack is currently locked by ${holders.length} lock(s). Either wait for the other process(es) to end or`,
    "delete the lock file with `pulumi cancel`.",
    ...holders.map(([host, pid]) => `  file:///state/.pulumi/locks/a.json: created by me@${host} (pid ${pid}) at now`),
  ].join("\n");

describe("who holds a stack", () => {
  const gone = spawnSync(process.execPath, ["--version"]).pid;

  test("a process that has ended does not", () => {
    expect(livingHolders(refusal([hostname(), gone]))).toEqual([]);
  });
  test("one that lives does, and one of another machine may", () => {
    expect(livingHolders(refusal([hostname(), process.pid], ["elsewhere", gone], [hostname(), gone]))).toEqual([
      `process ${process.pid} on ${hostname()}`,
      `process ${gone} on elsewhere`,
    ]);
  });
  test("a refusal that names nobody tells nothing", () => {
    expect(livingHolders("error: [409] Conflict: Another update is currently in progress.")).toBeUndefined();
  });
});

describe("what a killed command left unfinished", () => {
  const urn = (type: string, name: string) => `urn:pulumi:kv-local::orrery::${type}::${name}`;
  const resource = (type: string, name: string, metadata?: object) => ({
    urn: urn(type, name),
    type,
    inputs: metadata === undefined ? {} : { metadata },
  });
  const claim = resource("kubernetes:apps/v1:StatefulSet", "kv", { name: "kv", namespace: "orrery-kv" });
  const simulation = { urn: urn("orrery:Simulation", "kv"), type: "orrery:Simulation", custom: false }; // no inputs
  const space = resource("kubernetes:core/v1:Namespace", "space", { name: "orrery-kv" });
  const provider = resource("pulumi:providers:kubernetes", "cluster");
  const bucket = resource("aws:s3/bucket:Bucket", "images");

  const creating = (...resources: object[]) => resources.map((each) => ({ type: "creating", resource: each }));

  test("nothing, in a state without unfinished operations", () => {
    expect(settled(undefined)).toBeUndefined();
    expect(settled({ resources: [claim], pending_operations: [] })).toBeUndefined();
  });

  test("objects that were being created count as created, for a refresh to see", () => {
    const state = settled({ manifest: { version: "v3" }, pending_operations: creating(provider, space, claim) });
    expect(state).toEqual({
      deployment: {
        manifest: { version: "v3" },
        resources: [
          { ...space, custom: true, id: "orrery-kv", outputs: space.inputs },
          { ...claim, custom: true, id: "orrery-kv/kv", outputs: claim.inputs },
        ],
        pending_operations: [],
      },
      unfinished: ["cluster", "space", "kv"],
      unknown: [],
    });
  });

  test("changes and deletions are in the state already", () => {
    const pending = [
      { type: "deleting", resource: claim },
      { type: "updating", resource: space },
    ];
    const resources = [simulation, space, claim];
    const state = settled({ resources, pending_operations: pending });
    expect(state?.deployment).toEqual({ resources, pending_operations: [] });
  });

  test("the new one of a replacement is deleted, for its old one is still there", () => {
    const state = settled({ resources: [{ ...claim, id: "orrery-kv/kv-1" }], pending_operations: creating(claim) });
    expect(state?.deployment.resources).toMatchObject([{ id: "orrery-kv/kv-1" }, { id: "orrery-kv/kv", delete: true }]);
  });

  test("what has no name that is known here stays unfinished, and is named", () => {
    const unnamed = resource("kubernetes:core/v1:Pod", "pod", { generateName: "pod-" });
    const state = settled({ pending_operations: creating(bucket, unnamed) });
    expect(state?.unknown).toEqual([bucket.urn, unnamed.urn]);
    expect(state?.deployment.pending_operations).toHaveLength(2);
  });
});
