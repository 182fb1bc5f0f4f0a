import { readFile } from "node:fs/promises";
import { Agent, type Dispatcher, request, WebSocket } from "undici";
import { z } from "zod";
import type { PodCommand } from "../../schema/run.ts";

/** What the conductor needs to know of a pod. */
export interface Pod {
  readonly name: string;
  readonly uid: string;
  readonly ready: boolean;
  /** A container of it was ended by SIGKILL, as the kubelet saw it. */
  readonly killed: boolean;
  /** How often its containers were started again. */
  readonly restarts: number;
}

/** Where a node's kubelet answers. */
interface Kubelet {
  readonly node: string;
  /** `host:port`. */
  readonly address: string;
}

export interface KubernetesAccess {
  readonly url: string;
  /** Read before each request, since the token in it is replaced while the pod lives. */
  readonly tokenFile: string;
  /** Absent for a server without TLS. */
  readonly ca?: string;
}

const accountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The API server as seen by a pod with a service account. */
export async function inCluster(environment: NodeJS.ProcessEnv): Promise<KubernetesAccess> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = environment;
  if (host === undefined || port === undefined) {
    throw new Error("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; the conductor runs in a pod");
  }
  const address = host.includes(":") ? `[${host}]` : host;
  const ca = await readFile(`${accountFolder}/ca.crt`, "utf8");
  return { url: `https://${address}:${port}`, tokenFile: `${accountFolder}/token`, ca };
}

const containerState = z.object({ terminated: z.object({ exitCode: z.int() }).optional() }).optional();
const containerStatus = z.object({
  state: containerState,
  lastState: containerState,
  restartCount: z.int().optional(),
});
/** 128 + 9: how the runtime reports a process that was ended by SIGKILL. */
const killedExitCode = 137;
const podSchema = z.object({
  metadata: z.object({ name: z.string(), uid: z.string(), deletionTimestamp: z.string().optional() }),
  status: z
    .object({
      conditions: z.array(z.object({ type: z.string(), status: z.string() })).optional(),
      containerStatuses: z.array(containerStatus).optional(),
    })
    .optional(),
});
const nodeListSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      status: z.object({
        addresses: z.array(z.object({ type: z.string(), address: z.string() })).optional(),
        daemonEndpoints: z.object({ kubeletEndpoint: z.object({ Port: z.int() }).optional() }).optional(),
      }),
    }),
  ),
});
const configMapSchema = z.object({ data: z.record(z.string(), z.string()).optional() });

/** How a command in a container ended. */
export interface CommandEnd {
  readonly output: string;
  /** Absent when it ended well, or when the connection broke off after it had started. */
  readonly failure?: string;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/**
 * The few calls of the Kubernetes API that the conductor makes, on plain HTTP: the official client would more than
 * double the image and the memory of a process that is given 192 MiB.
 */
export class Kubernetes {
  readonly #access: KubernetesAccess;
  readonly #agent: Agent;

  constructor(access: KubernetesAccess) {
    this.#access = access;
    this.#agent = new Agent({
      connections: 8,
      connect: { timeout: 2_000, ...(access.ca === undefined ? {} : { ca: access.ca }) },
    });
  }

  /** A pod by name, or undefined when there is none. */
  async pod(namespace: string, name: string): Promise<Pod | undefined> {
    const answer = await this.#call("GET", `/api/v1/namespaces/${namespace}/pods/${name}`);
    if (answer.status === 404) {
      return undefined;
    }
    const { metadata, status } = podSchema.parse(json(answer, `pod ${name}`));
    const ready = status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True");
    const containers = status?.containerStatuses ?? [];
    return {
      name: metadata.name,
      uid: metadata.uid,
      ready: ready === true && metadata.deletionTimestamp === undefined,
      restarts: containers.reduce((sum, { restartCount = 0 }) => sum + restartCount, 0),
      killed: containers.some(({ state, lastState }) =>
        [state, lastState].some((one) => one?.terminated?.exitCode === killedExitCode),
      ),
    };
  }

  /**
   * Deletes exactly this pod with no grace period.
   *
   * @returns false when it is not there any more, or another pod has its name
   */
  async kill(namespace: string, { name, uid }: Pod): Promise<boolean> {
    const answer = await this.#call("DELETE", `/api/v1/namespaces/${namespace}/pods/${name}`, {
      kind: "DeleteOptions",
      apiVersion: "v1",
      gracePeriodSeconds: 0,
      preconditions: { uid },
    });
    if (answer.status === 404 || answer.status === 409) {
      return false;
    }
    json(answer, `deleting pod ${name}`);
    return true;
  }

  /**
   * Runs a command in a container, as `kubectl exec` does, and waits for its end.
   *
   * @returns what it printed, and why it failed if it did; a connection that breaks off is an end, since the command
   *   may have killed the container it ran in
   */
  async exec(
    namespace: string,
    pod: string,
    { container, command }: PodCommand,
    limitMs = execLimitMs,
  ): Promise<CommandEnd> {
    const url = new URL(`/api/v1/namespaces/${namespace}/pods/${pod}/exec`, this.#access.url.replace(/^http/, "ws"));
    url.searchParams.set("container", container);
    url.searchParams.set("stdout", "true");
    url.searchParams.set("stderr", "true");
    for (const word of command) {
      url.searchParams.append("command", word);
    }
    const socket = new WebSocket(url, {
      protocols: ["v5.channel.k8s.io"],
      dispatcher: this.#agent,
      headers: { authorization: `Bearer ${await this.#token()}` },
    });
    socket.binaryType = "arraybuffer";
    return await commandEnd(socket, limitMs);
  }

  /** One value of a ConfigMap, or undefined when there is none. */
  async configMapValue(namespace: string, name: string, key: string): Promise<string | undefined> {
    const answer = await this.#call("GET", `/api/v1/namespaces/${namespace}/configmaps/${name}`);
    return answer.status === 404 ? undefined : configMapSchema.parse(json(answer, `ConfigMap ${name}`)).data?.[key];
  }

  /** Every node with the address of its kubelet; a node without an internal address is left out. */
  async kubelets(): Promise<Kubelet[]> {
    const answer = await this.#call("GET", "/api/v1/nodes");
    return nodeListSchema.parse(json(answer, "the list of nodes")).items.flatMap(({ metadata, status }) => {
      const host = status.addresses?.find(({ type }) => type === "InternalIP")?.address;
      const port = status.daemonEndpoints?.kubeletEndpoint?.Port ?? 10_250;
      if (host === undefined) return [];
      return { node: metadata.name, address: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}` };
    });
  }

  async #token(): Promise<string> {
    return (await readFile(this.#access.tokenFile, "utf8")).trim();
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #call(method: Dispatcher.HttpMethod, path: string, body?: unknown): Promise<Answer> {
    const token = await this.#token();
    const answer = await request(new URL(path, this.#access.url), {
      method,
      dispatcher: this.#agent,
      signal: AbortSignal.timeout(10_000),
      headers: {
        authorization: `Bearer ${token}`,
        accept: "application/json",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.statusCode, text: await answer.body.text() };
  }
}

function json({ status, text }: Answer, what: string): unknown {
  if (status >= 300) {
    throw new Error(`the API server answers ${status} to ${what}: ${text.slice(0, 300)}`);
  }
  return JSON.parse(text);
}

/** Channels of the exec protocol: the first byte of each message. */
const statusChannel = 3;
const statusSchema = z.object({ status: z.string(), message: z.string().optional() });
const execLimitMs = 10_000;

function commandEnd(socket: WebSocket, limitMs: number): Promise<CommandEnd> {
  return new Promise((resolve) => {
    let opened = false;
    let output = "";
    const end = (failure?: string): void => {
      clearTimeout(limit);
      resolve({ output: output.trim(), ...(failure === undefined ? {} : { failure }) });
      socket.close();
    };
    const limit = setTimeout(() => end(`no end within ${limitMs} ms`), limitMs);
    socket.addEventListener("open", () => {
      opened = true;
    });
    socket.addEventListener("message", ({ data }) => {
      const bytes = Buffer.from(data as ArrayBuffer);
      const text = bytes.subarray(1).toString();
      if (bytes[0] !== statusChannel) {
        output += text;
        return;
      }
      const { status, message } = statusSchema.parse(JSON.parse(text));
      end(status === "Success" ? undefined : (message ?? status));
    });
    socket.addEventListener("error", ({ message }) => end(opened ? undefined : `it could not be started: ${message}`));
    socket.addEventListener("close", () => end(opened ? undefined : "it could not be started"));
  });
}
