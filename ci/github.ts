import { Octokit } from "@octokit/rest";
import { z } from "zod";
import { EnvironmentError, InputError } from "../schema/errors.ts";
import type { Preview } from "../schema/preview.ts";
import { commentMarker, previewMarkdown } from "./markdown.ts";

/**
 * The event of the trusted job: a workflow that a pull request started has ended.
 * Source: GitHub's webhook `workflow_run`, of which only these fields are read.
 */
const workflowRunSchema = z.object({
  action: z.literal("completed"),
  repository: z.object({ name: z.string(), owner: z.object({ login: z.string() }) }),
  workflow_run: z.object({
    event: z.literal("pull_request"),
    head_sha: z.string().regex(/^[0-9a-f]{40}$/),
    head_branch: z.string(),
    head_repository: z.object({ owner: z.object({ login: z.string() }) }),
  }),
});

/** How GitHub is reached. */
export interface GitHubAccess {
  readonly token: string;
  /** `https://api.github.com`, or that of an own server. */
  readonly api: string;
  /** Login whose comments are ours, e.g. `github-actions[bot]`. */
  readonly author: string;
}

export interface CommentOutcome {
  readonly action: "created" | "updated" | "none";
  /** Number of the pull request; absent when none was found. */
  readonly pullRequest?: number;
  /** Why nothing was written. */
  readonly reason?: string;
}

/**
 * Posts a preview on its pull request, as one comment that is updated from then on.
 *
 * The preview comes from a job that ran the pull request's code, so nothing in it says where it goes: the pull request
 * is looked up by the branch and commit of the event, and only a comment of our own is updated.
 *
 * @param event payload of the `workflow_run` event
 * @throws InputError for another event or a preview of another commit; EnvironmentError when GitHub refuses
 */
export async function postPreview(event: unknown, preview: Preview, access: GitHubAccess): Promise<CommentOutcome> {
  const { repository, workflow_run: origin } = parseEvent(event);
  if (preview.head !== origin.head_sha) {
    throw new InputError([
      {
        path: "head",
        rule: `the preview is of commit ${preview.head}, the event of ${origin.head_sha}.`,
        fix: "Check out the pull request's own head commit in the job that makes the preview.",
      },
    ]);
  }
  const silent = { debug() {}, info() {}, warn() {}, error() {} }; // what goes wrong is thrown
  const octokit = new Octokit({ auth: access.token, baseUrl: access.api, log: silent });
  const place = { owner: repository.owner.login, repo: repository.name };
  const head = `${origin.head_repository.owner.login}:${origin.head_branch}`;
  return await explained(async () => {
    const { data: open } = await octokit.rest.pulls.list({ ...place, head, state: "open" });
    const pull = open.find((candidate) => candidate.head.sha === origin.head_sha);
    if (pull === undefined) {
      return { action: "none", reason: `no open pull request from ${head} is at ${origin.head_sha}` };
    }
    const issue = { ...place, issue_number: pull.number };
    const comments = await octokit.paginate(octokit.rest.issues.listComments, { ...issue, per_page: 100 });
    const ours = comments.find(
      (comment) => comment.user?.login === access.author && comment.body?.startsWith(commentMarker) === true,
    );
    const body = previewMarkdown(preview);
    if (ours !== undefined) {
      await octokit.rest.issues.updateComment({ ...place, comment_id: ours.id, body });
      return { action: "updated", pullRequest: pull.number };
    }
    if (preview.stacks.length === 0 && preview.images.length === 0) {
      return { action: "none", pullRequest: pull.number, reason: "nothing changes" };
    }
    await octokit.rest.issues.createComment({ ...issue, body });
    return { action: "created", pullRequest: pull.number };
  });
}

function parseEvent(event: unknown): z.output<typeof workflowRunSchema> {
  const parsed = workflowRunSchema.safeParse(event);
  if (!parsed.success) {
    throw new InputError(
      parsed.error.issues.map((issue) => ({
        path: issue.path.join("."),
        rule: `not the event of a completed pull request workflow: ${issue.message}`,
        fix: "Run this in a job that `workflow_run` starts, with its GITHUB_EVENT_PATH.",
      })),
    );
  }
  return parsed.data;
}

async function explained<Result>(action: () => Promise<Result>): Promise<Result> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof Error && "status" in error) {
      throw new EnvironmentError(
        `GitHub answered ${String(error.status)}: ${error.message}`,
        "The job needs `permissions: pull-requests: write` and its own GITHUB_TOKEN.",
        { cause: error },
      );
    }
    throw error;
  }
}
