import { request as httpsRequest, type RequestOptions } from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";
import { RunFailure } from "../schema/errors.ts";

export { coreApi, kubeConfigOf, serverVersion } from "../targets/kube-client.ts";

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
