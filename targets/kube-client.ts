import { ApiException, CoreV1Api, KubeConfig, VersionApi } from "@kubernetes/client-node";
import type { TargetConnection } from "../components/cluster-target.ts";
import { EnvironmentError, messageOf } from "../schema/errors.ts";

/** A kubeconfig context, checked to exist. */
export function kubeConfigOf(connection: TargetConnection): KubeConfig {
  const config = new KubeConfig();
  try {
    config.loadFromFile(connection.kubeconfig);
  } catch (error) {
    throw new EnvironmentError(
      `The kubeconfig ${connection.kubeconfig} cannot be read: ${messageOf(error)}.`,
      "Give the path of a readable kubeconfig in KUBECONFIG.",
      { cause: error },
    );
  }
  if (config.getContextObject(connection.context) === null) {
    const known = config.getContexts().map((context) => context.name);
    throw new EnvironmentError(
      `The kubeconfig ${connection.kubeconfig} has no context "${connection.context}".`,
      known.length === 0 ? "It names no context at all." : `It has ${known.join(", ")}.`,
    );
  }
  config.setCurrentContext(connection.context);
  return config;
}

/** @throws EnvironmentError when the cluster does not answer. */
export async function serverVersion(config: KubeConfig): Promise<string> {
  return await answered(config, async () => (await config.makeApiClient(VersionApi).getCode()).gitVersion);
}

/**
 * What a cluster was asked for.
 *
 * @throws EnvironmentError when it does not answer, or refuses these credentials, or what they may not do
 */
export async function answered<Result>(config: KubeConfig, ask: () => Promise<Result>): Promise<Result> {
  try {
    return await ask();
  } catch (error) {
    throw error instanceof EnvironmentError ? error : unanswered(config, error);
  }
}

function unanswered(config: KubeConfig, error: unknown): EnvironmentError {
  const cluster = `The cluster of context "${config.getCurrentContext()}"`;
  const { code, body } = error instanceof ApiException ? error : { code: 0, body: undefined };
  if (code === 401) {
    const fix = "They may have expired: log in again, or name another context with --context.";
    return new EnvironmentError(`${cluster} refuses the credentials of the kubeconfig.`, fix, { cause: error });
  }
  if (code === 403) {
    const fix = "Ask for the right to read it, or use another user in the kubeconfig.";
    return new EnvironmentError(`${cluster} refuses a request: ${messageIn(body)}.`, fix, { cause: error });
  }
  const server = config.getCurrentCluster()?.server ?? "an unknown address";
  return new EnvironmentError(
    `${cluster} at ${server} does not answer: ${messageOf(error)}.`,
    "Start it, or name another context with --context.",
    { cause: error },
  );
}

/** The message of a Kubernetes Status, which the client leaves as an object or as text. */
function messageIn(body: unknown): string {
  const text = typeof body === "string" ? body : JSON.stringify(body ?? {});
  const [, message = ""] = /"message":("(?:[^"\\]|\\.)*")/.exec(text) ?? [];
  return message === "" ? "forbidden" : String(JSON.parse(message));
}

export const coreApi = (config: KubeConfig): CoreV1Api => config.makeApiClient(CoreV1Api);
