import { expect, test } from "vitest";
import { engineChanges } from "../../../ci/engine.ts";
import { previewMarkdown } from "../../../ci/markdown.ts";
import { previewSchema } from "../../../schema/preview.ts";
import { changeWith, previewOf, stackWith } from "./sample.ts";

test("a preview reads as recorded", async () => {
  const changes = [
    changeWith(),
    changeWith({ kind: "create", type: "kubernetes:core/v1:Service", name: "kv", stateful: false, because: [] }),
  ];
  const priced = { ...stackWith(...changes), costPerHour: { before: 0.1, after: 0.25 } };
  const failed = { ...stackWith(), stack: "kv-eks", error: "credentials have expired", before: null, after: null };
  const preview = previewOf(priced, failed);
  expect(previewSchema.parse(preview)).toEqual(preview);
  await expect(previewMarkdown(preview)).toMatchFileSnapshot("preview.golden.md");
});

test("targets on which a stack changes alike are told together, each with its cost", () => {
  const local = stackWith(changeWith());
  const other = (target: string) => ({ ...local, stack: `kv-${target}`, target });
  const priced = { ...other("eks"), costPerHour: { before: 0.7, after: 0.9 } };
  const text = previewMarkdown(previewOf(local, other("kind"), priced, { ...other("context"), changes: [] }));
  expect(text).toContain("### `kv-local`, `kv-kind`, `kv-eks`\n");
  expect(text).toContain("### `kv-context`\n");
  expect(text.match(/<details>/g)).toHaveLength(2);
  expect(text).toMatch(/\| estimated cost an hour, a cluster on `eks` for it alone \| \$0\.70 \| \$0\.90 \|/);
});

test("what a pull request writes cannot leave its place in the comment", () => {
  const fence = "```";
  const text = previewMarkdown(
    previewOf(
      stackWith(
        changeWith({
          name: "x` @everyone | [click](http://example.org)\n# Approved",
          diff: `+a\n${fence}\n@everyone\n${fence}${fence}`,
        }),
      ),
    ),
  );
  expect(text).toContain("`x' @everyone ' [click](http://example.org)'# Approved`");
  expect(text).toContain(`\n${"`".repeat(7)}diff\n`);
  expect(text).not.toMatch(/^# Approved/m);
});

test("a comment stays below what GitHub takes, by leaving out the longest details", () => {
  const long = stackWith(changeWith({ diff: "+line\n".repeat(6000) }), changeWith({ diff: "+line\n".repeat(6000) }));
  const short = { ...stackWith(changeWith()), stack: "kv-kind" };
  const text = previewMarkdown(previewOf(long, short));
  expect(text.length).toBeLessThan(65_536);
  expect(text).toContain("Details left out");
  expect(text).toContain("+storage: 2Gi");
});

test("the engine's steps become the same changes", () => {
  const state = (storage: string) => ({ inputs: { __defaults: [], kind: "StatefulSet", spec: { storage } } });
  const step = (op: string, more: object = {}) => ({
    sequence: 1,
    timestamp: 1,
    resourcePreEvent: {
      metadata: {
        op,
        urn: "urn:pulumi:kv-local::orrery::kubernetes:apps/v1:StatefulSet::network-members",
        type: "kubernetes:apps/v1:StatefulSet",
        old: state("1Gi"),
        new: state("2Gi"),
        detailedDiff: {
          "spec.storage": { diffKind: "update-replace", inputDiff: true },
          "spec.other": { diffKind: "update", inputDiff: true },
        },
        ...more,
      },
    },
  });
  const events = [
    step("same"),
    step("create-replacement"),
    step("replace"),
    step("delete-replaced"),
    step("update", { type: "orrery:kv:KvNetwork" }),
  ];
  expect(engineChanges(events as unknown as Parameters<typeof engineChanges>[0])).toMatchObject([
    {
      kind: "replace",
      name: "network-members",
      stateful: true,
      because: ["spec.storage"],
      diff: expect.stringMatching(/-\s+storage: 1Gi\n\+\s+storage: 2Gi/),
    },
  ]);
});
