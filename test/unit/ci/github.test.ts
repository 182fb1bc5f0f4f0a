import { readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { type ServerType, serve } from "@hono/node-server";
import { Hono } from "hono";
import { afterEach, beforeEach, expect, test } from "vitest";
import { postPreview } from "../../../ci/github.ts";
import { commentMarker } from "../../../ci/markdown.ts";
import { EnvironmentError, InputError } from "../../../schema/errors.ts";
import type { Preview } from "../../../schema/preview.ts";
import { previewOf } from "./sample.ts";

/** The part of GitHub's API that is used, over loopback, with one pull request and its comments in memory. */
class GitHubStandIn {
  readonly comments: { id: number; body: string; user: { login: string } }[] = [];
  readonly asked: string[] = [];
  pullHead = "1".repeat(40);
  refuse = false;
  #server: ServerType | undefined;

  async start(): Promise<string> {
    const app = new Hono();
    app.use(async (context, next) => {
      this.asked.push(`${context.req.method} ${context.req.path}`);
      return this.refuse ? context.json({ message: "Resource not accessible by integration" }, 403) : await next();
    });
    app.get("/repos/example/orrery/pulls", (context) =>
      context.json(
        context.req.query("head") === "contributor:bigger-volumes"
          ? [{ number: 7, head: { sha: this.pullHead }, state: "open" }]
          : [],
      ),
    );
    app.get("/repos/example/orrery/issues/7/comments", (context) => context.json(this.comments));
    app.post("/repos/example/orrery/issues/7/comments", async (context) => {
      const { body } = await context.req.json<{ body: string }>();
      this.comments.push({ id: this.comments.length + 1, body, user: { login: "github-actions[bot]" } });
      return context.json({}, 201);
    });
    app.patch("/repos/example/orrery/issues/comments/:id", async (context) => {
      const { body } = await context.req.json<{ body: string }>();
      const comment = this.comments.find(({ id }) => id === Number(context.req.param("id")));
      Object.assign(comment ?? {}, { body });
      return context.json({});
    });
    return await new Promise((resolve) => {
      this.#server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }: AddressInfo) =>
        resolve(`http://127.0.0.1:${port}`),
      );
    });
  }

  async stop(): Promise<void> {
    await new Promise((resolve) => this.#server?.close(resolve) ?? resolve(undefined));
  }
}

const payload = async (name: string): Promise<unknown> =>
  JSON.parse(await readFile(new URL(`../../fixtures/github/${name}.json`, import.meta.url), "utf8"));
let github: GitHubStandIn;
let access: { token: string; api: string; author: string };

beforeEach(async () => {
  github = new GitHubStandIn();
  access = { token: "none", api: await github.start(), author: "github-actions[bot]" };
});
afterEach(() => github.stop());

test("a fork's preview becomes one comment, and the next one updates it", async () => {
  const event = await payload("workflow-run-fork");
  expect(await postPreview(event, previewOf(), access)).toEqual({ action: "created", pullRequest: 7 });
  const [comment] = github.comments;
  expect(comment?.body.startsWith(commentMarker)).toBe(true);
  const later: Preview = { ...previewOf(), stacks: [] };
  expect(await postPreview(event, later, access)).toEqual({ action: "updated", pullRequest: 7 });
  expect(github.comments).toHaveLength(1);
  expect(github.comments[0]?.body).toContain("No stack changes.");
});

test("somebody else's comment with the marker is left alone", async () => {
  github.comments.push({ id: 1, body: `${commentMarker}\nmine`, user: { login: "contributor" } });
  await postPreview(await payload("workflow-run-fork"), previewOf(), access);
  expect(github.comments.map(({ user }) => user.login)).toEqual(["contributor", "github-actions[bot]"]);
  expect(github.comments[0]?.body).toContain("mine");
});

test("a pull request that has moved on gets no comment", async () => {
  github.pullHead = "3".repeat(40);
  const outcome = await postPreview(await payload("workflow-run-fork"), previewOf(), access);
  expect(outcome).toMatchObject({ action: "none", reason: expect.stringContaining("no open pull request") });
  expect(github.comments).toEqual([]);
});

test("a change of nothing is not worth a first comment", async () => {
  const quiet: Preview = { ...previewOf(), stacks: [], images: [] };
  expect(await postPreview(await payload("workflow-run-fork"), quiet, access)).toMatchObject({ action: "none" });
  expect(github.comments).toEqual([]);
});

test("a preview of another commit, or an event of no pull request, is refused before GitHub is asked", async () => {
  const event = await payload("workflow-run-fork");
  await expect(postPreview(event, { ...previewOf(), head: "9".repeat(40) }, access)).rejects.toThrow(InputError);
  await expect(postPreview(await payload("workflow-run-push"), previewOf(), access)).rejects.toThrow(InputError);
  expect(github.asked).toEqual([]);
});

test("a refusal names the permission that is missing", async () => {
  github.refuse = true;
  const posting = postPreview(await payload("workflow-run-fork"), previewOf(), access);
  await expect(posting).rejects.toThrow(EnvironmentError);
  await expect(posting).rejects.toThrow(/403.*\n.*pull-requests: write/);
});
