import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { resources, restrictedContainer, restrictedPod } from "../kubernetes/pod.ts";
import { bootstrapVariables } from "./pod.ts";
import { bootstrapSelector } from "./policies.ts";
import type { Scope } from "./scope.ts";

/** Longest the peers may take to answer and be connected, in seconds. */
const deadlineSeconds = 300;
const peersPath = "/keramik-peers";

/**
 * The Job that connects the peers. Its name is made of the peers and the method, so that other peers make another Job;
 * undefined where there is nobody to connect.
 *
 * @returns done means that every peer is connected to at least one other
 */
export function createBootstrap(
  { name, args, plan, labels, parent }: Scope,
  peers: pulumi.Output<string>,
  sets: readonly pulumi.Resource[],
): k8s.batch.v1.Job | undefined {
  const { bootstrap } = plan;
  if (bootstrap === undefined) return undefined;
  const { image, imagePullPolicy } = args.experiment.network.bootstrap;
  const own = { ...labels, ...bootstrapSelector(args.experiment.name) };
  return new k8s.batch.v1.Job(
    `${name}-bootstrap`,
    {
      metadata: { name: bootstrap.name, namespace: args.namespace.created, labels: own },
      spec: {
        backoffLimit: 4,
        activeDeadlineSeconds: deadlineSeconds,
        template: {
          metadata: { labels: own },
          spec: {
            restartPolicy: "Never",
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            securityContext: restrictedPod,
            containers: [
              {
                name: "bootstrap",
                image: image ?? args.target.images("ceramic"),
                imagePullPolicy,
                // another image is Keramik's runner, or understands what it does
                ...(image === undefined
                  ? { command: ["/usr/local/bin/node", "bootstrap.ts"] }
                  : { args: ["bootstrap"] }),
                env: [
                  ...bootstrapVariables(bootstrap),
                  { name: "BOOTSTRAP_PEERS_PATH", value: `${peersPath}/peers.json` },
                ],
                resources: resources(0.05, 128 * 2 ** 20, 1),
                securityContext: restrictedContainer,
                volumeMounts: [{ name: "peers", mountPath: peersPath, readOnly: true }],
              },
            ],
            volumes: [{ name: "peers", configMap: { name: peers } }],
          },
        },
      },
    },
    { parent, dependsOn: [...sets], customTimeouts: { create: `${deadlineSeconds + 60}s` } },
  );
}
