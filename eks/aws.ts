import { z } from "zod";
import type { ExecResult } from "../local/toolchain/exec.ts";
import { EnvironmentError } from "../schema/errors.ts";
import { type ExternalTool, lastWords, runTool } from "../targets/external-tool.ts";

/** The AWS command line: the kubeconfig of an EKS cluster needs it for tokens, so it is asked for the rest as well. */
const aws: ExternalTool = {
  program: "aws",
  website: "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
};

/**
 * Who the credentials in use belong to.
 *
 * @returns the account and the ARN of user or role
 * @throws EnvironmentError when there are none, or they have expired
 */
export async function callerIdentity(
  signal?: AbortSignal,
): Promise<{ readonly account: string; readonly arn: string }> {
  const args = ["sts", "get-caller-identity", "--output", "json"];
  const result = await runTool(aws, args, { signal, timeoutMs: 60_000 });
  if (result.code !== 0) throw credentialsError(result);
  const { Account, Arn } = parse(z.object({ Account: z.string(), Arn: z.string() }), result, args);
  return { account: Account, arn: Arn };
}

/** `ACTIVE`, `CREATING` and so on; undefined when there is no such cluster. */
export async function clusterStatus(
  name: string,
  region: string,
  signal?: AbortSignal,
): Promise<{ readonly status: string; readonly version: string } | undefined> {
  const args = ["eks", "describe-cluster", "--name", name, "--region", region, "--output", "json"];
  const result = await runTool(aws, args, { signal, timeoutMs: 60_000 });
  if (result.code !== 0 && result.stderr.includes("ResourceNotFoundException")) return undefined;
  if (result.code !== 0) throw failed(args, result);
  return parse(z.object({ cluster: z.object({ status: z.string(), version: z.string() }) }), result, args).cluster;
}

/** How much of something an account may have in a region, by the codes `aws service-quotas` uses. */
export async function serviceQuota(
  quota: { readonly service: string; readonly code: string },
  region: string,
  signal?: AbortSignal,
): Promise<number> {
  const what = ["--service-code", quota.service, "--quota-code", quota.code];
  const args = ["service-quotas", "get-service-quota", ...what, "--region", region, "--output", "json"];
  const result = await runTool(aws, args, { signal, timeoutMs: 60_000 });
  if (result.code !== 0) throw failed(args, result);
  return parse(z.object({ Quota: z.object({ Value: z.number() }) }), result, args).Quota.Value;
}

/** Writes the cluster's context into the kubeconfig in use. */
export async function updateKubeconfig(
  target: { readonly cluster: string; readonly region: string; readonly context: string; readonly kubeconfig: string },
  signal?: AbortSignal,
): Promise<void> {
  const { cluster, region, context, kubeconfig } = target;
  const place = ["--name", cluster, "--region", region, "--alias", context, "--kubeconfig", kubeconfig];
  const args = ["eks", "update-kubeconfig", ...place];
  const result = await runTool(aws, args, { signal, timeoutMs: 60_000 });
  if (result.code !== 0) throw failed(args, result);
}

const awsDocs = "aws configure sso && aws sso login, or AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";

function credentialsError(result: ExecResult): EnvironmentError {
  const text = result.stderr;
  if (/ExpiredToken|expired/i.test(text)) {
    return new EnvironmentError("The AWS credentials have expired.", "Renew them: aws sso login, or your own way.");
  }
  if (/Unable to locate credentials|NoCredentials/i.test(text)) {
    return new EnvironmentError("There are no AWS credentials.", `Provide some: ${awsDocs}.`);
  }
  if (/InvalidClientTokenId|SignatureDoesNotMatch|AuthFailure/.test(text)) {
    return new EnvironmentError(`AWS refuses the credentials: ${lastWords(result, 1)}`, `Provide others: ${awsDocs}.`);
  }
  return failed(["sts", "get-caller-identity"], result);
}

function failed(args: readonly string[], result: ExecResult): EnvironmentError {
  return new EnvironmentError(
    `aws ${args.join(" ")} ended with ${result.code}: ${lastWords(result, 2)}`,
    "See that the network and the rights of these credentials allow it.",
  );
}

function parse<Schema extends z.ZodType>(
  schema: Schema,
  result: ExecResult,
  args: readonly string[],
): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(result.stdout);
  } catch {
    value = undefined; // told below, with what was answered
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new EnvironmentError(
    `aws ${args.slice(0, 2).join(" ")} answered something unknown: ${result.stdout.trim().slice(0, 200) || "nothing"}.`,
    "Use version 2 of the AWS command line.",
    { cause: parsed.error },
  );
}
