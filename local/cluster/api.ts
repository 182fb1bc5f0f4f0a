import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { z } from "zod";

const kubeconfigSchema = z.object({
  clusters: z.tuple([z.object({ cluster: z.object({ server: z.url(), "certificate-authority-data": z.base64() }) })]),
  users: z.tuple([
    z.object({ user: z.object({ "client-certificate-data": z.base64(), "client-key-data": z.base64() }) }),
  ]),
});

/** An answer of the API server. */
export interface ApiAnswer {
  readonly status: number;
  readonly text: string;
}

/**
 * A few plain requests to one cluster's API server. Starting a cluster needs no more than that, and the full client
 * takes longer to load than a cluster that runs takes to be recognised.
 */
export class ClusterApi {
  readonly #server: URL;
  readonly #credentials: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };

  private constructor(server: URL, credentials: { ca: Buffer; cert: Buffer; key: Buffer }) {
    this.#server = server;
    this.#credentials = credentials;
  }

  /** Reads a kubeconfig written by {@link writeKubeconfig}. */
  static async fromKubeconfig(path: string): Promise<ClusterApi> {
    const config = kubeconfigSchema.parse(JSON.parse(await readFile(path, "utf8")));
    const { cluster } = config.clusters[0];
    const { user } = config.users[0];
    return new ClusterApi(new URL(cluster.server), {
      ca: Buffer.from(cluster["certificate-authority-data"], "base64"),
      cert: Buffer.from(user["client-certificate-data"], "base64"),
      key: Buffer.from(user["client-key-data"], "base64"),
    });
  }

  /**
   * One request. An answer with an error status is an answer.
   *
   * @throws Error when there is none within `timeoutMs`
   */
  async send(method: "GET" | "POST", path: string, body?: unknown, timeoutMs = 5_000): Promise<ApiAnswer> {
    return await new Promise((resolve, reject) => {
      const sent = request(
        {
          ...this.#credentials,
          method,
          path,
          host: this.#server.hostname,
          port: this.#server.port,
          headers: body === undefined ? {} : { "content-type": "application/json" },
          signal: AbortSignal.timeout(timeoutMs),
        },
        (response) => {
          let text = "";
          response.setEncoding("utf8");
          response.on("data", (part: string) => {
            text += part;
          });
          response.once("end", () => resolve({ status: response.statusCode ?? 0, text }));
          response.once("error", reject);
        },
      );
      sent.once("error", reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** Whether a GET is answered with 200 now; a server that cannot be reached is a no. */
  async answers(path: string, timeoutMs = 2_000): Promise<boolean> {
    return (await this.tryGet(path, timeoutMs))?.status === 200;
  }

  /** The answer to a GET, or undefined when there is none. */
  async tryGet(path: string, timeoutMs = 2_000): Promise<ApiAnswer | undefined> {
    try {
      return await this.send("GET", path, undefined, timeoutMs);
    } catch {
      return undefined; // not reachable yet: what callers that ask again and again want to know
    }
  }

  /**
   * Creates an object unless it exists.
   *
   * @param path Of the collection, e.g. `/api/v1/namespaces/default/services`.
   * @throws Error with the API server's words when it refuses
   */
  async ensure(path: string, object: { readonly metadata: { readonly name: string } }): Promise<void> {
    if ((await this.send("GET", `${path}/${object.metadata.name}`)).status === 200) return;
    const answer = await this.send("POST", path, object);
    if (answer.status === 201 || answer.status === 409) return;
    throw new Error(`POST ${path}: the API server answered ${answer.status}: ${answer.text}`);
  }
}
