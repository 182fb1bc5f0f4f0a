import { open } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { exec } from "../toolchain/exec.ts";
import type { ClusterApi } from "./api.ts";
import { clusterDomain } from "./config.ts";
import type { ClusterPaths } from "./paths.ts";
import { waitUntil } from "./processes.ts";

const nodeSchema = z.object({
  status: z.object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]) }),
});

/** What is looked at, in the order in which a boot brings it up. */
export interface ReadinessCheck {
  /** For messages, e.g. `node Ready`. */
  readonly name: string;
  /** Services whose logs explain a failure. */
  readonly services: readonly string[];
  holds(): Promise<boolean>;
}

/** The API server answers. */
export function apiReady(api: ClusterApi): ReadinessCheck {
  return {
    name: "API server ready",
    services: ["kube-apiserver", "etcd"],
    holds: () => api.answers("/readyz"),
  };
}

const leaseSchema = z.object({ spec: z.object({ renewTime: z.iso.datetime({ precision: 6 }) }) });

/**
 * The kubelet of this boot has reported: a node that was Ready when it was stopped still says so in the first seconds
 * of the next boot.
 *
 * @param since When the boot began, ms since 1970.
 */
export function nodeReported(api: ClusterApi, nodeName: string, since: number): ReadinessCheck {
  return {
    name: "node reports",
    services: ["kubelet"],
    holds: async () => {
      const answer = await api.tryGet(`/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${nodeName}`);
      if (answer?.status !== 200) return false;
      const lease = leaseSchema.safeParse(JSON.parse(answer.text));
      return lease.success && Date.parse(lease.data.spec.renewTime) >= since;
    },
  };
}

/** What makes a cluster usable once its API server answers. */
export function clusterReady(api: ClusterApi, nodeName: string): ReadinessCheck[] {
  return [
    {
      name: "node Ready",
      services: ["kubelet", "containerd"],
      holds: () => nodeIsReady(api, nodeName),
    },
    {
      name: "default ServiceAccount",
      services: ["kube-controller-manager"],
      holds: () => api.answers("/api/v1/namespaces/default/serviceaccounts/default"),
    },
  ];
}

/**
 * The cluster's DNS answers for the API server's Service. Asked from inside the cluster's network namespace, as the
 * host cannot reach it.
 *
 * @param enterNetwork Command that runs a program in that namespace.
 */
export function dnsReady(enterNetwork: readonly string[], nodeAddress: string): ReadinessCheck {
  const [program = "", ...args] = enterNetwork;
  const query = `
    const { Resolver } = require("node:dns").promises;
    const resolver = new Resolver({ timeout: 500, tries: 1 });
    resolver.setServers([process.argv[1]]);
    resolver.resolve4(process.argv[2]).then(() => process.exit(0), () => process.exit(1));
  `;
  const name = `kubernetes.default.svc.${clusterDomain}`;
  return {
    name: "DNS answers",
    services: ["coredns"],
    holds: async () =>
      (await exec(program, [...args, process.execPath, "-e", query, nodeAddress, name], { timeoutMs: 3_000 })).code ===
      0,
  };
}

/** The web server for Ingress objects has the configuration the controller gives it, be it one without any rule. */
export function ingressReady(nodeAddress: string): ReadinessCheck {
  return {
    name: "ingress answers",
    services: ["ingress-controller", "caddy"],
    holds: () =>
      fetch(`http://${nodeAddress}/`, { redirect: "manual", signal: AbortSignal.timeout(1_000) }).then(
        async (answer) => {
          await answer.body?.cancel();
          return true;
        },
        () => false, // not listening yet
      ),
  };
}

async function nodeIsReady(api: ClusterApi, name: string): Promise<boolean> {
  const answer = await api.tryGet(`/api/v1/nodes/${name}`);
  if (answer?.status !== 200) return false;
  const node = nodeSchema.safeParse(JSON.parse(answer.text));
  return node.success && node.data.status.conditions.some(({ type, status }) => type === "Ready" && status === "True");
}

/**
 * Waits for a check.
 *
 * @throws Error with the last lines of the logs concerned when it does not hold in time
 */
export async function waitFor(
  check: ReadinessCheck,
  paths: ClusterPaths,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<void> {
  if (await waitUntil(check.holds, timeoutMs, { intervalMs: 100, signal })) return;
  const logs: string[] = [];
  for (const service of check.services) {
    logs.push(`--- ${service}\n${await lastLines(join(paths.logs, service, "current"), 12)}`);
  }
  throw new Error(
    `cluster ${paths.name}: ${check.name}: not within ${timeoutMs / 1000} s. Logs are in ${paths.logs}.\n${logs.join("\n")}`,
  );
}

/** The last lines of a log file, read from its end. */
export async function lastLines(path: string, count: number): Promise<string> {
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    const length = Math.min(size, 16_384);
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString("utf8").trimEnd().split("\n").slice(-count).join("\n");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "(no log)";
    throw error;
  }
}
