import { request as httpsRequest, type RequestOptions } from "node:https";
import { CoreV1Api, KubeConfig, VersionApi } from "@kubernetes/client-node";
import type { TargetConnection } from "../components/cluster-target.ts";
import { EnvironmentError, RunFailure } from "../schema/errors.ts";

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
  try {
    return (await config.makeApiClient(VersionApi).getCode()).gitVersion;
  } catch (error) {
    const server = config.getCurrentCluster()?.server ?? "an unknown address";
    throw new EnvironmentError(
      `The cluster of context "${config.getCurrentContext()}" at ${server} does not answer: ${messageOf(error)}.`,
      "Start it, or name another context with --context.",
      { cause: error },
    );
  }
}

export const coreApi = (config: KubeConfig): CoreV1Api => config.makeApiClient(CoreV1Api);

/** A Service inside the cluster, reached through the API server's proxy: no port-forward, no ingress. */
export interface ProxiedService {
  readonly namespace: string;
  readonly service: string;
  readonly port: number;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * GETs a path of a Service through the API server.
 *
 * @returns status and body, whatever the status
 * @throws RunFailure when the API server cannot be reached
 */
export async function proxyGet(
  config: KubeConfig,
  service: ProxiedService,
  path: string,
): Promise<{ readonly status: number; readonly body: Buffer }> {
  const server = config.getCurrentCluster()?.server;
  if (server === undefined) {
    throw new RunFailure(`context "${config.getCurrentContext()}" names no cluster`);
  }
  const proxy = `/api/v1/namespaces/${service.namespace}/services/${service.service}:${service.port}/proxy/${path}`;
  const options: RequestOptions = { method: "GET", headers: { ...service.headers } };
  await config.applyToHTTPSOptions(options);
  return await new Promise((resolve, reject) => {
    const request = httpsRequest(
      new URL(server.replace(/\/$/, "") + proxy),
      { ...options, timeout: 30_000 },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
        response.on("error", reject);
      },
    );
    request.on("timeout", () => request.destroy(new Error("no answer within 30 s")));
    request.on("error", (error) =>
      reject(
        new RunFailure(`${service.service} in ${service.namespace} cannot be reached: ${error.message}`, {
          cause: error,
        }),
      ),
    );
    request.end();
  });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
