import { z } from "zod";
import type { Problem } from "../errors.ts";
import { ceramicGroupSchema } from "./ceramic-group.ts";
import { ceramicOperations, ceramicParameters, ceramicWrites } from "./ceramic-workload.ts";
import { defineSystem } from "./system.ts";

const urlSchema = z.url({ protocol: /^https?$/, error: "that is no http or https URL" });

const bootstrapSchema = z
  .strictObject({
    enabled: z.boolean().default(true).meta({ description: "Whether peers are connected to each other at all." }),
    method: z.enum(["ring", "random", "sentinel"]).default("sentinel").meta({
      description: "Whom a peer is connected to: the next n, n drawn from the seed, or the first n of all.",
    }),
    n: z.int().min(1).max(100).default(3).meta({ description: "How many others each peer is connected to." }),
    image: z.string().min(1).optional().meta({ description: "Image of the Job that connects them." }),
    imagePullPolicy: z
      .enum(["Always", "IfNotPresent", "Never"])
      .default("IfNotPresent")
      .meta({ description: "When that image is pulled." }),
  })
  .prefault({})
  .meta({ description: "How peers are made known to each other." });

const nodeSelectorTermSchema = z.strictObject({
  matchExpressions: z
    .array(
      z.strictObject({
        key: z.string().min(1),
        operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]),
        values: z.array(z.string()).optional(),
      }),
    )
    .min(1),
});

/** Share of each weight in so many replicas: rounded down, and what is left one each to the heaviest first. */
export function splitByWeight(replicas: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const shares = weights.map((weight) => Math.floor((weight / sum) * replicas));
  const heaviest = weights.map((_, index) => index).sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0) || a - b);
  const left = replicas - shares.reduce((total, share) => total + share, 0);
  for (const index of heaviest.slice(0, left)) shares[index] = (shares[index] ?? 0) + 1;
  return shares;
}

const networkSchema = z
  .strictObject({
    system: z.literal("ceramic"),
    replicas: z.int().min(1).max(100).default(3).meta({
      description: "Peers of all groups together; each is js-ceramic and what stores its blocks.",
      unit: "pods",
    }),
    networkType: z.enum(["inmemory", "local", "dev-unstable", "testnet-clay", "mainnet"]).default("inmemory").meta({
      description: "inmemory has no anchors; local has an anchor service and a chain of its own; others are public.",
    }),
    groups: z.array(ceramicGroupSchema).min(1).max(10).prefault([{}]).meta({ description: "Kinds of peers." }),
    bootstrap: bootstrapSchema,
    routing: z.enum(["mesh", "dht"]).default("mesh").meta({
      description: "How kubo finds blocks: all peers are connected, or a DHT grows from the bootstrap's connections.",
    }),
    privateKeySecret: z
      .string()
      .regex(/^[a-z0-9-]+\/[a-z0-9.-]+$/, { error: 'write "<namespace>/<name>" of a Secret that is there' })
      .optional()
      .meta({
        description: "Secret whose first key is the admin's private key, 32 bytes in hex; by default one is made.",
        examples: ["keramik/admin"],
      }),
    casApiUrl: urlSchema
      .optional()
      .meta({ description: "Anchor service to use; local has one of its own.", examples: ["http://cas:8081"] }),
    ethRpcUrl: urlSchema
      .optional()
      .meta({ description: "Ethereum JSON-RPC that anchors are checked with.", examples: ["http://ganache:8545"] }),
    cas: z
      .strictObject({
        enabled: z.boolean().default(true).meta({ description: "Whether local gets an anchor service of its own." }),
        batchLinger: z.int().min(0).max(3_600).default(1).meta({
          description: "How long requests are collected before they are anchored together.",
          unit: "seconds",
        }),
      })
      .prefault({})
      .meta({ description: "The anchor service of a local network; a stand-in for ceramic-anchor-service." }),
    devMode: z.boolean().default(false).meta({
      description: "No default requests and limits of CPU and memory: only what is written holds.",
    }),
    debugMode: z.boolean().default(false).meta({
      description: "js-ceramic listens for a debugger on port 9229.",
    }),
    nodeSelectorTerms: z
      .array(nodeSelectorTermSchema)
      .max(16)
      .default([])
      .meta({ description: "Nodes that pods of the network may run on; one of the terms has to fit." }),
  })
  .meta({ description: "A Ceramic network: js-ceramic over kubo or ceramic-one." });

/** A Ceramic network's section, resolved. */
export type CeramicSection = z.output<typeof networkSchema>;

/** Groups with the name each goes by and its share of the replicas. */
export function ceramicGroups({ groups, replicas }: CeramicSection) {
  const shares = splitByWeight(
    replicas,
    groups.map(({ weight }) => weight),
  );
  return groups.map((group, index) => ({
    ...group,
    name: group.name ?? `ceramic-${index}`,
    replicas: shares[index] ?? 0,
  }));
}

/** Ceramic: streams of signed events, replicated by the peers that are interested in them. */
export const ceramic = defineSystem({
  system: "ceramic",
  roles: ["peer"],
  operations: ceramicOperations,
  writes: ceramicWrites,
  network: networkSchema,
  parameters: ceramicParameters,
  members: ({ replicas }) => replicas,
  images: imagesOf,
  returning: {
    text: "A js-ceramic peer hears of writes by pubsub, once, and does not ask for what it missed: that shows there when its stream changes again, or is read there for the first time since.",
    fix: "Judge the members that stayed by replication.<ordinal>, write to the same documents again, or read them at that peer.",
  },
  problems: (network) => [...groupProblems(network), ...anchorProblems(network)],
  warnings: (network) =>
    network.replicas > 1 && !network.bootstrap.enabled
      ? [
          {
            path: "network.bootstrap.enabled",
            rule: "nobody connects the peers, so nothing is replicated.",
            fix: "Leave it on, or connect them yourself.",
          },
        ]
      : [],
});

function imagesOf(network: CeramicSection): string[] {
  const { groups } = network;
  const ipfs = groups.filter((group) => group.ipfs.image === undefined).map(({ ipfs: { kind } }) => kind);
  return [
    "ceramic", // also prepares peers that run another image
    ...(ipfs.includes("go") ? ["kubo"] : []),
    ...(ipfs.includes("rust") ? ["ceramic-one"] : []),
    ...(groups.some(({ index }) => index === "postgres") ? ["postgres"] : []),
    ...(hasOwnAnchors(network) ? ["cas", "ganache"] : []),
  ];
}

/** Whether an anchor service and a chain are made with the network. */
export const hasOwnAnchors = ({ networkType, casApiUrl, cas }: CeramicSection): boolean =>
  networkType === "local" && casApiUrl === undefined && cas.enabled;

function groupProblems(network: CeramicSection): Problem[] {
  const names = ceramicGroups(network).map(({ name }) => name);
  const problems: Problem[] = [];
  names.forEach((name, index) => {
    if (names.indexOf(name) < index) {
      problems.push({
        path: `network.groups[${index}].name`,
        rule: `there are two groups ${name}.`,
        fix: "Give each a name of its own.",
      });
    }
  });
  ceramicGroups(network).forEach(({ name, replicas }, index) => {
    if (replicas === 0) {
      problems.push({
        path: `network.groups[${index}].weight`,
        rule: `${name} gets none of the ${network.replicas} replicas.`,
        fix: "Raise network.replicas or its weight, or leave it out.",
      });
    }
  });
  const kinds = new Set(network.groups.map(({ ipfs }) => ipfs.kind));
  if (kinds.size > 1) {
    problems.push({
      path: "network.groups",
      rule: "kubo and ceramic-one do not speak with each other, so the groups would be two networks.",
      fix: "Use one kind of ipfs for all groups.",
    });
  }
  return problems;
}

function anchorProblems(network: CeramicSection): Problem[] {
  const { networkType, casApiUrl, ethRpcUrl, cas } = network;
  if (networkType === "inmemory") {
    return casApiUrl === undefined
      ? []
      : [
          {
            path: "network.casApiUrl",
            rule: "an inmemory network has no anchors, so no anchor service would be asked.",
            fix: "Set networkType to local, or leave the URL out.",
          },
        ];
  }
  if (casApiUrl === undefined && !hasOwnAnchors(network)) {
    const off = networkType === "local" && !cas.enabled;
    return [
      {
        path: "network.casApiUrl",
        rule: `a ${networkType} network needs an anchor service${off ? ", and cas.enabled is off" : ""}.`,
        fix: "Write its URL.",
      },
    ];
  }
  return casApiUrl !== undefined && ethRpcUrl === undefined
    ? [
        {
          path: "network.ethRpcUrl",
          rule: "anchors of that service cannot be checked without its chain.",
          fix: "Write the URL of an Ethereum JSON-RPC.",
        },
      ]
    : [];
}
