import { z } from "zod";
import type { Problem } from "../errors.ts";
import { cpuSchema, durationSchema, sizeSchema } from "../units.ts";
import { racecourseProblems, racecourseSchema } from "./quorum-racecourse.ts";
import { defineSystem } from "./system.ts";

const clients = ["goquorum", "geth"] as const;
const consensuses = ["qbft", "ibft", "raft", "clique"] as const;
const layouts = ["one-set", "set-per-node"] as const;
/** Objects per node are the exception, and bounded. */
const maxSets = 16;
const managers = ["auto", "tessera", "stand-in"] as const;
const privacies = ["none", "constellation", "tessera"] as const;

/** What exists: private transactions that each consensus of each client can carry. Everything else is refused. */
const combinations: Readonly<
  Record<(typeof clients)[number], Partial<Record<(typeof consensuses)[number], readonly (typeof privacies)[number][]>>>
> = {
  goquorum: { qbft: privacies, ibft: privacies, raft: privacies, clique: ["none"] },
  geth: { clique: ["none"] },
};

const ether = 10n ** 18n;
const maxWei = 2n ** 256n;

const weiSchema = z
  .string()
  .regex(/^\d{1,78}( ether)?$/, {
    error: (issue) => `${JSON.stringify(issue.input)} is no balance; write wei, "1000000", or "5 ether"`,
  })
  .refine((text) => weiOf(text) < maxWei, { error: "a balance has at most 256 bits" });

/** Wei in a balance such as `"5 ether"` or `"1000000"`. */
export function weiOf(balance: string): bigint {
  const [amount = "", unit] = balance.split(" ");
  return /^\d+$/.test(amount) ? BigInt(amount) * (unit === "ether" ? ether : 1n) : 0n;
}

const network = z
  .strictObject({
    system: z.literal("quorum"),
    client: z.enum(clients).default("goquorum").meta({
      description: "Program of the nodes; geth is the last one that seals clique blocks, and knows clique only.",
    }),
    consensus: z.enum(consensuses).default("qbft").meta({ description: "How nodes agree on blocks." }),
    nodes: z.int().min(1).max(100).default(4).meta({
      description: "Nodes of the network, the bootnode not counted. It may grow while the chain goes on.",
      unit: "pods",
    }),
    validators: z.int().min(1).max(100).optional().meta({
      description: "The first so many nodes make blocks, the others observe; all when absent. More are voted in.",
      unit: "pods",
    }),
    bootnode: z.boolean().default(true).meta({ description: "A bootnode through which nodes discover each other." }),
    privacy: z.enum(privacies).default("none").meta({
      description: "Private transactions, and the interface their managers speak.",
    }),
    manager: z.enum(managers).default("auto").meta({
      description:
        "What the managers are: Tessera itself, or a stand-in with the same interface; auto is Tessera with privacy: tessera where images can be pulled.",
    }),
    chainId: z.int().min(1).max(4_294_967_295).default(1337).meta({ description: "Chain id and network id." }),
    blockPeriod: durationSchema({ min: "50ms", max: "1h" })
      .prefault("1s")
      .meta({ description: "Time between two blocks; whole seconds, except with raft.", unit: "duration" }),
    gasLimit: z.int().min(5_000_000).max(9_000_000_000_000_000).default(480_000_000).meta({
      description: "Gas limit of the first block.",
      unit: "gas",
    }),
    accounts: z.int().min(1).max(1024).default(64).meta({
      description: "Accounts of the drivers, each with a thousand million ether in the first block.",
      unit: "accounts",
    }),
    allocations: z
      .array(
        z.strictObject({
          address: z
            .string()
            .regex(/^0x[0-9a-fA-F]{40}$/, {
              error: (issue) => `${JSON.stringify(issue.input)} is no address; write 0x and 40 hexadecimal digits`,
            })
            .meta({ description: "Account.", examples: ["0x00000000000000000000000000000000000000aa"] }),
          balance: weiSchema.meta({ description: "In wei, or with a unit.", examples: ["5 ether"] }),
        }),
      )
      .max(1024)
      .default([])
      .meta({ description: "Further accounts with a balance in the first block." }),
    layout: z.enum(layouts).default("one-set").meta({
      description:
        "One StatefulSet of all nodes, or, as the seed document has it, one with its own claim for each node.",
    }),
    volumes: z
      .strictObject({
        path: z
          .string()
          .regex(/^(\/[A-Za-z0-9._-]+)+$/, {
            error: (issue) => `${JSON.stringify(issue.input)} is no folder; write an absolute path`,
          })
          .meta({
            description: "Node n has the folder qdata_<n> below it, from 1, which must be there.",
            examples: ["/data"],
          }),
        hosts: z
          .array(z.string().regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/))
          .min(1)
          .max(maxSets)
          .meta({
            description: "Kubernetes nodes the folders are on; node n's is on the n-th, in turn.",
            examples: [["minikube"]],
          }),
      })
      .optional()
      .meta({
        description:
          "Volumes of the network's own instead of the cluster's storage, with layout: set-per-node: a folder for each node, which is kept.",
      }),
    storage: sizeSchema({ min: "64Mi", max: "1Ti" })
      .prefault("1Gi")
      .meta({ description: "Volume of each node.", unit: "size", examples: ["1Gi"] }),
    cpu: cpuSchema({ min: "20m", max: "64" })
      .prefault("100m")
      .meta({ description: "CPU requested by each node; it may use ten times that.", unit: "cores" }),
    memory: sizeSchema({ min: "256Mi", max: "256Gi" })
      .prefault("384Mi")
      .meta({ description: "Memory requested by, and limit of, each node.", unit: "size", examples: ["384Mi"] }),
    image: z
      .string()
      .min(1)
      .optional()
      .meta({
        description: "Image with the programs geth and bootnode, instead of the one built here.",
        examples: ["docker.io/quorumengineering/quorum:22.7.4"],
      }),
    addresses: z
      .strictObject({
        bootnode: z
          .ipv4()
          .optional()
          .meta({ description: "Of the bootnode's Service.", examples: ["10.96.0.100"] }),
        nodes: z
          .ipv4()
          .optional()
          .meta({ description: "Of the nodes' Service.", examples: ["10.96.0.99"] }),
      })
      .default({})
      .meta({ description: "Fixed addresses out of the cluster's range for Services; DNS names do without." }),
    racecourse: racecourseSchema.optional(),
    deterministic: z.boolean().default(false).meta({
      description: "Derive all keys from the experiment's seed instead of the stack's secret: for tests, never safe.",
    }),
  })
  .meta({ description: "An Ethereum network of GoQuorum or geth nodes." });

/** The `network` section of a quorum experiment, resolved. */
export type QuorumSection = z.output<typeof network>;
type Network = QuorumSection;

/** Whether private-transaction managers are Tessera itself: where images can be pulled, unless a stand-in is wanted. */
export const usesTessera = ({ privacy, manager }: Pick<Network, "privacy" | "manager">, pulls: boolean): boolean =>
  privacy === "tessera" && (manager === "tessera" || (manager === "auto" && pulls));

/** Nodes that make blocks. */
export const validatorsOf = ({ nodes, validators }: Pick<Network, "nodes" | "validators">): number =>
  validators ?? nodes;

const referenceSchema = z
  .strictObject({
    transfers: z.int().min(100).max(20_000).default(2_000).meta({
      description: "Transfers of each window.",
      unit: "transfers",
    }),
    pairs: z.int().min(1).max(20).default(4).meta({
      description: "Windows of each of the two; fewer where the nodes are slow.",
      unit: "windows",
    }),
  })
  .meta({
    description:
      "Before the load, one worker sends transfers as fast as the nodes take them, in turns with a raw sender that has signed them before: metrics reference_ratio and reference_rate.",
  });

/** A chain of blocks that nodes agree on, with private transactions and a web app if asked for. */
export const quorum = defineSystem({
  system: "quorum",
  roles: ["validator", "observer", "minter", "verifier"],
  operations: ["transfer", "contract_call", "contract_read", "private_transfer", "deploy"],
  writes: ["transfer", "contract_call", "private_transfer", "deploy"],
  network,
  parameters: z
    .strictObject({
      valueSize: sizeSchema({ min: "1B", max: "24Ki" })
        .prefault("32B")
        .meta({ description: "Size of the value that contract_call and private_transfer write.", unit: "size" }),
      reference: referenceSchema.optional(),
    })
    .prefault({})
    .meta({ description: "What the driver reads and writes." }),
  members: ({ nodes }) => nodes,
  images: (section, pulls) => [
    ...(section.image === undefined ? [section.client === "goquorum" ? "goquorum" : "geth"] : []),
    "quorum-agent",
    ...(section.privacy === "none" ? [] : [usesTessera(section, pulls) ? "tessera" : "ptm"]),
    ...(section.racecourse === undefined ? [] : ["racecourse"]),
  ],
  problems: (section, operations) => [
    ...combinationProblems(section),
    ...managerProblems(section),
    ...volumeProblems(section),
    ...chainProblems(section),
    ...sizeProblems(section),
    ...addressProblems(section),
    ...allocationProblems(section),
    ...operationProblems(section, operations),
    ...racecourseProblems(section.racecourse),
  ],
  warnings: (section) => [...keyWarnings(section), ...toleranceWarnings(section)],
});

function combinationProblems({ client, consensus, privacy }: Network): Problem[] {
  const known = combinations[client];
  const carried = known[consensus];
  if (carried === undefined) {
    return [
      {
        path: "network.consensus",
        rule: `${client} has no ${consensus}.`,
        fix: `Write client: goquorum, or one of ${Object.keys(known).join(", ")}.`,
      },
    ];
  }
  if (carried.includes(privacy)) return [];
  return [
    {
      path: "network.privacy",
      rule: `${client} with ${consensus} carries no private transactions.`,
      fix: "Write privacy: none, or client: goquorum with qbft, ibft or raft.",
    },
  ];
}

/** Signed for chain 1 (EIP-155) a transaction has `v` 37 or 38, by which GoQuorum knows private ones. */
function chainProblems({ client, chainId }: Network): Problem[] {
  if (client !== "goquorum" || chainId !== 1) return [];
  return [
    {
      path: "network.chainId",
      rule: "goquorum takes every transaction that is signed for chain 1 for a private one.",
      fix: "Write another number than 1, or client: geth with consensus: clique.",
    },
  ];
}

function volumeProblems({ layout, volumes }: Network): Problem[] {
  if (volumes === undefined || layout === "set-per-node") return [];
  return [
    {
      path: "network.volumes",
      rule: "one StatefulSet of all nodes has claims of the cluster's storage only.",
      fix: "Write layout: set-per-node, or leave it out.",
    },
  ];
}

function managerProblems({ privacy, manager }: Network): Problem[] {
  if (manager !== "tessera" || privacy === "tessera") return [];
  return [
    {
      path: "network.manager",
      rule: `Tessera does not carry private transactions with privacy: ${privacy}.`,
      fix: "Write privacy: tessera, or leave it out.",
    },
  ];
}

function sizeProblems({ consensus, nodes, validators, privacy, blockPeriod, layout }: Network): Problem[] {
  const problems: Problem[] = [];
  if (layout === "set-per-node" && nodes > maxSets) {
    problems.push({
      path: "network.layout",
      rule: `${nodes} nodes would be as many StatefulSets and claims.`,
      fix: `Write layout: one-set, or at most ${maxSets} nodes.`,
    });
  }
  if (validators !== undefined && validators > nodes) {
    problems.push({
      path: "network.validators",
      rule: `${validators} validators cannot be among ${nodes} nodes, so no majority of them would ever meet.`,
      fix: `Write 1 to ${nodes}.`,
    });
  }
  if (consensus === "raft" && validators !== undefined && validators < nodes) {
    problems.push({
      path: "network.validators",
      rule: "every node of a raft network takes part in consensus; observers are not supported.",
      fix: "Leave it out, or use qbft.",
    });
  }
  if (privacy !== "none" && nodes < 2) {
    problems.push({
      path: "network.privacy",
      rule: "a private transaction has at least two parties, and there is 1 node.",
      fix: "Write nodes: 2 or more.",
    });
  }
  if (consensus !== "raft" && blockPeriod % 1000 !== 0) {
    problems.push({
      path: "network.blockPeriod",
      rule: `${consensus} counts whole seconds, not ${blockPeriod} ms.`,
      fix: 'Write "1s" or more seconds.',
    });
  }
  return problems;
}

function addressProblems({ bootnode, addresses }: Network): Problem[] {
  if (addresses.bootnode === undefined) return [];
  if (!bootnode) {
    return [
      {
        path: "network.addresses.bootnode",
        rule: "there is no bootnode that could have an address.",
        fix: "Leave it out, or write bootnode: true.",
      },
    ];
  }
  return addresses.bootnode === addresses.nodes
    ? [
        {
          path: "network.addresses.nodes",
          rule: `${addresses.nodes} is the bootnode's address.`,
          fix: "Give each Service its own.",
        },
      ]
    : [];
}

function allocationProblems({ allocations }: Network): Problem[] {
  const addresses = allocations.map(({ address }) => address.toLowerCase());
  return addresses.flatMap((address, index) =>
    addresses.indexOf(address) < index
      ? [
          {
            path: `network.allocations[${index}].address`,
            rule: `${address} has a balance already.`,
            fix: "Name each account once.",
          },
        ]
      : [],
  );
}

function operationProblems({ privacy }: Network, operations: readonly string[]): Problem[] {
  return privacy === "none" && operations.includes("private_transfer")
    ? [
        {
          path: "workload.operations.private_transfer",
          rule: "the network carries no private transactions.",
          fix: "Write network.privacy: constellation, or leave the operation out.",
        },
      ]
    : [];
}

function keyWarnings({ deterministic }: Network): Problem[] {
  return deterministic
    ? [
        {
          path: "network.deterministic",
          rule: "every key can be derived by anybody who knows the seed.",
          fix: "Leave it out for anything but a test.",
        },
      ]
    : [];
}

/** One of n that vote by more than two thirds may fail from four on; by more than half, from three on. */
function toleranceWarnings(section: Network): Problem[] {
  const count = validatorsOf(section);
  const byThirds = section.consensus === "qbft" || section.consensus === "ibft";
  const needed = byThirds ? 4 : 3;
  return count > 1 && count < needed
    ? [
        {
          path: section.validators === undefined ? "network.nodes" : "network.validators",
          rule: `${count} validators of ${section.consensus} tolerate no failure.`,
          fix: `Use ${needed} or more, or 1.`,
        },
      ]
    : [];
}
