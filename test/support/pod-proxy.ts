import { request } from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";

/** A pod and the port of it that is asked. */
export interface PodPort {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

/**
 * Asks a pod over the API server's proxy; `body` makes it a POST with JSON. Answers are JSON.
 *
 * @throws Error with status and body of an answer that is none of success
 */
export async function askPod(
  config: KubeConfig,
  { namespace, pod, port }: PodPort,
  path: string,
  body?: unknown,
): Promise<unknown> {
  const url = `${config.getCurrentCluster()?.server}/api/v1/namespaces/${namespace}/pods/${pod}:${port}/proxy/${path}`;
  const options = { method: body === undefined ? "GET" : "POST", headers: { "content-type": "application/json" } };
  await config.applyToHTTPSOptions(options);
  const { status, text } = await new Promise<{ readonly status: number; readonly text: string }>((resolve, reject) => {
    const sent = request(url, { ...options, timeout: 60_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      response.on("error", reject);
    });
    sent.on("timeout", () => sent.destroy(new Error(`${pod} did not answer within 60 s`)));
    sent.on("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
  if (status !== 200) throw new Error(`${pod}: ${path} was answered ${status} ${text.slice(0, 300)}`);
  return text === "" ? undefined : JSON.parse(text);
}
