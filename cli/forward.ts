import { createServer, type Socket } from "node:net";
import { type KubeConfig, PortForward } from "@kubernetes/client-node";
import { EnvironmentError, messageOf } from "../schema/errors.ts";

/** A port of a pod. */
export interface PodPort {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

/** A port of this machine that leads to a pod. */
export interface Forwarding {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** Ends it and every connection through it. */
  close(): Promise<void>;
}

/**
 * Leads a port of the loopback interface to a port of a pod through the API server, as `kubectl port-forward` does: no
 * Ingress, and no NetworkPolicy stands in its way.
 *
 * @param port Port to listen on; 0 for any
 * @param onBroken Told why a connection could not be led on
 * @throws EnvironmentError when the port is taken
 */
export async function forwardPort(
  config: KubeConfig,
  { namespace, pod, port: target }: PodPort,
  port: number,
  onBroken: (reason: string) => void,
): Promise<Forwarding> {
  const through = new PortForward(config);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", (error) => onBroken(error.message));
    through.portForward(namespace, pod, [target], socket, null, socket).then(
      (opened) => {
        // The client does not notice a socket that was destroyed, and its connection would keep the process alive.
        const end = () => (typeof opened === "function" ? opened() : opened)?.terminate();
        if (socket.destroyed) end();
        else socket.once("close", end);
      },
      (error: unknown) => {
        onBroken(messageOf(error));
        socket.destroy();
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  }).catch((error: unknown) => {
    throw new EnvironmentError(
      `Port ${port} cannot be listened on: ${messageOf(error)}.`,
      "Choose another with --port.",
      {
        cause: error,
      },
    );
  });
  const address = server.address();
  const bound = typeof address === "object" && address !== null ? address.port : port;
  return {
    url: `http://127.0.0.1:${bound}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
