import { expect, test } from "vitest";
import { importArchives } from "../../../local/cluster/images.ts";

/** containerd's client as far as it matters: a shell that lists nothing and fails to import with what it is told. */
const clientThatSays = (words: string) => ({
  enter: ["sh", "-c", `case "$*" in *import*) echo '${words}' >&2; exit 1 ;; esac`, "sh"],
  path: process.env.PATH ?? "",
});
const image = { reference: "orrery.dev/kv:1", archive: "/archives/kv-1.tar" };

test.each([
  ["ctr: write /var/lib/containerd/x: no space left on device", /no space left on device\.\n.*Free some space/],
  ["ctr: archive/tar: invalid tar header", /invalid tar header\.\n.*rm \/archives\/kv-1\.tar/],
])("an image that does not load is one clear error: %s", async (words, message) => {
  const failure = await importArchives(clientThatSays(words), [image]).catch((error: Error) => error);
  expect(failure).toMatchObject({ name: "EnvironmentError", message: expect.stringMatching(message) });
  expect((failure as Error).message).toContain("The image orrery.dev/kv:1 (/archives/kv-1.tar) could not be loaded");
});
