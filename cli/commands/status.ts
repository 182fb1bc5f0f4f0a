import type { CoreV1Api } from "@kubernetes/client-node";
import type { Command } from "commander";
import { z } from "zod";
import type { Endpoint } from "../../schema/run.ts";
import { endpointSchema } from "../../schema/run.ts";
import { coreApi, kubeConfigOf } from "../cluster-client.ts";
import { memberStatuses, statusText } from "../member-status.ts";
import { findStack } from "../open-stack.ts";
import { type CommonOptions, type Session, targetCommand } from "../session.ts";
import { chooseTarget, existingConnection } from "../targets.ts";

const outputsSchema = z.object({ namespace: z.string(), members: z.array(endpointSchema) });
/** What kubo answers to `swarm/peers`. */
const swarmSchema = z.object({ Peers: z.array(z.object({ Peer: z.string() })).nullable() });

/** `orrery status <experiment>`: the members of a deployed network and how each is. */
export function statusCommand(start: (options: CommonOptions) => Session): Command {
  return targetCommand("status")
    .description("show the members of a deployed network: who is ready, and whom each is connected to")
    .argument("<experiment>", "experiment file, or the name of its stack")
    .action(async (experiment: string, options: CommonOptions) => {
      const session = start(options);
      const stack = await findStack(experiment, options, session);
      const { namespace, members } = outputsSchema.parse(await stack.outputs());
      const api = coreApi(kubeConfigOf(await existingConnection((await chooseTarget(options)).config)));
      const pods = await api.listNamespacedPod({ namespace });
      const statuses = memberStatuses(members, pods.items, await connections(api, namespace, members));
      const ready = statuses.filter((member) => member.ready).length;
      session.console.result(statusText(statuses), { stack: stack.name, namespace, ready, members: statuses });
    });
}

/** Ids of the peers that each member's kubo is connected to, by pod; those that do not answer are left out. */
async function connections(api: CoreV1Api, namespace: string, members: readonly Endpoint[]) {
  const answers = await Promise.all(
    members
      .filter(({ attributes }) => attributes?.ipfsKind === "go" && attributes.ipfs !== undefined)
      .map(async ({ pod, attributes }): Promise<[string, string[]] | undefined> => {
        const name = `${pod}:${new URL(attributes?.ipfs ?? "").port}`;
        const text = await api
          .connectPostNamespacedPodProxyWithPath({ name, namespace, path: "api/v0/swarm/peers" })
          .catch(() => undefined); // a member that is down: its pod says so
        if (text === undefined) return undefined;
        const { Peers } = swarmSchema.parse(typeof text === "string" ? JSON.parse(text) : text);
        return [pod, (Peers ?? []).map(({ Peer }) => Peer)];
      }),
  );
  return new Map(answers.filter((answer) => answer !== undefined));
}
