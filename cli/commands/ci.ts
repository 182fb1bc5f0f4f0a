import { appendFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { Command } from "commander";
import { changesSince } from "../../ci/changes.ts";
import { engineChanges } from "../../ci/engine.ts";
import { postPreview } from "../../ci/github.ts";
import { previewMarkdown } from "../../ci/markdown.ts";
import { previewOf, type StackChange } from "../../ci/preview.ts";
import { recordedChanges } from "../../ci/recorded.ts";
import { EnvironmentError, InputError, RunFailure } from "../../schema/errors.ts";
import { loadExperiment } from "../../schema/load.ts";
import { previewSchema } from "../../schema/preview.ts";
import { targetNames } from "../../targets/modules.ts";
import { openStackOnly } from "../open-stack.ts";
import { type CommonOptions, type Session, targetCommand } from "../session.ts";
import { projectFolder } from "../stack.ts";
import { targetName } from "../targets.ts";

interface PreviewOptions extends CommonOptions {
  readonly base: string;
  readonly engine?: boolean;
  readonly output?: string;
  readonly summary?: string;
}

interface CommentOptions extends CommonOptions {
  readonly event: string | undefined;
  readonly author: string;
}

/** `orrery ci`: previews of pull requests. */
export function ciCommand(start: (options: CommonOptions) => Session): Command {
  return new Command("ci")
    .description("show on a pull request what it would change")
    .addCommand(previewCommand(start))
    .addCommand(commentCommand(start));
}

function previewCommand(start: (options: CommonOptions) => Session): Command {
  return targetCommand("preview")
    .description(
      "compare every stack on every target, or the chosen one, with the graphs recorded at the base commit; needs no secret",
    )
    .argument("[experiments...]", "experiment files; all of examples/ when none is named")
    .requiredOption("-b, --base <ref>", "branch, tag or commit the change goes to")
    .option("--engine", "ask Pulumi and the cluster of the chosen target instead")
    .option("-o, --output <folder>", "folder to write preview.json and preview.md into")
    .option("--summary <file>", "file the text is added to, such as $GITHUB_STEP_SUMMARY")
    .action(async (files: string[], options: PreviewOptions) => {
      const session = start(options);
      const experiments = files.length > 0 ? files.map(inProject) : await examples();
      const changes = await changesSince(projectFolder, options.base);
      const isOne = options.target !== undefined || options.context !== undefined || options.engine === true;
      const targets = isOne ? [targetName(options)] : targetNames;
      const recorded = await recordedChanges(projectFolder, changes, experiments, targets);
      const stacks = options.engine === true ? await askEngine(recorded, options, session) : recorded;
      const preview = previewOf(changes, stacks);
      const text = previewMarkdown(preview);
      if (options.output !== undefined) {
        await mkdir(options.output, { recursive: true });
        await writeFile(join(options.output, "preview.json"), `${JSON.stringify(preview, null, 2)}\n`);
        await writeFile(join(options.output, "preview.md"), text);
      }
      if (options.summary !== undefined) {
        await appendFile(options.summary, text);
      }
      session.console.result(text.trimEnd(), preview);
    });
}

/** The same stacks on the chosen target, with what `pulumi preview` says of those that are still there. */
async function askEngine(
  recorded: readonly StackChange[],
  options: CommonOptions,
  session: Session,
): Promise<StackChange[]> {
  const asked: StackChange[] = [];
  for (const change of recorded.filter(({ after }) => after !== undefined)) {
    const file = join(projectFolder, change.experiment);
    const stack = await openStackOnly(file, await loadExperiment(file), options, session);
    const place = { ...change, stack: stack.name };
    try {
      const { events } = await stack.preview(session.signals.children);
      asked.push({ ...place, engine: engineChanges(events) });
    } catch (error) {
      if (!(error instanceof RunFailure)) {
        throw error;
      }
      asked.push({ ...place, error: error.message });
    }
  }
  session.console.settle();
  return [...asked, ...recorded.filter(({ error }) => error !== undefined)];
}

function commentCommand(start: (options: CommonOptions) => Session): Command {
  return new Command("comment")
    .description("post a preview on its pull request; for the job that workflow_run starts")
    .argument("<preview>", "preview.json of the job that ran the pull request's code")
    .option("--event <file>", "payload of the event", process.env.GITHUB_EVENT_PATH)
    .option("--author <login>", "login whose comment is updated", "github-actions[bot]")
    .option("--json", "print what was done as JSON")
    .action(async (file: string, options: CommentOptions) => {
      const session = start(options);
      const preview = previewSchema.safeParse(await readJson(file));
      if (!preview.success) {
        throw new InputError(
          preview.error.issues.map(({ path, message }) => ({ at: file, path: path.join("."), rule: message })),
        );
      }
      const event = await readJson(required(options.event, "--event or GITHUB_EVENT_PATH"));
      const access = {
        token: required(process.env.GITHUB_TOKEN, "GITHUB_TOKEN"),
        api: process.env.GITHUB_API_URL ?? "https://api.github.com",
        author: options.author,
      };
      const outcome = await postPreview(event, preview.data, access);
      const place = outcome.pullRequest === undefined ? "" : ` on pull request ${outcome.pullRequest}`;
      const text = outcome.action === "none" ? `no comment: ${outcome.reason}` : `comment ${outcome.action}${place}`;
      session.console.result(text, outcome);
    });
}

async function examples(): Promise<string[]> {
  const names = await readdir(join(projectFolder, "examples"));
  return names.filter((name) => /\.(ya?ml|ts)$/.test(name)).map((name) => `examples/${name}`);
}

const inProject = (file: string) => relative(projectFolder, resolve(file));

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw new InputError([{ path: file, rule: `cannot be read as JSON: ${(error as Error).message}` }]);
  }
}

function required(value: string | undefined, name: string): string {
  if (value === undefined || value === "") {
    throw new EnvironmentError(`${name} is not set.`, "Run this in a job of GitHub Actions, or set it.");
  }
  return value;
}
