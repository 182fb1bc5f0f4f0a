import { concat, encodeRlp, toQuantity } from "ethers/utils";
import { type QuorumSection, weiOf } from "../../schema/systems/quorum.ts";

/** What a first block is made from. */
export interface GenesisArgs {
  readonly network: Pick<
    QuorumSection,
    "client" | "consensus" | "chainId" | "blockPeriod" | "gasLimit" | "allocations"
  >;
  /** Addresses of the nodes that make the first blocks. */
  readonly validators: readonly string[];
  /** Addresses of the drivers' accounts. */
  readonly accounts: readonly string[];
}

/** A thousand million ether, as quorum-tools gave its accounts. */
const accountWei = 10n ** 27n;
const zeros = (bytes: number): string => `0x${"00".repeat(bytes)}`;
const vanity = zeros(32);
const cliqueSeal = zeros(65);
const epoch = 30_000;
/** `critical byzantine fault tolerance`, by which blocks of IBFT and QBFT are known (EIP-650). */
const istanbulDigest = "0x63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365";
const forks = [
  ...["homesteadBlock", "eip150Block", "eip155Block", "eip158Block", "byzantiumBlock", "constantinopleBlock"],
  ...["petersburgBlock", "istanbulBlock", "berlinBlock"],
];

/** The genesis document `geth init` takes, the same bytes for the same input. */
export function genesisDocument(args: GenesisArgs): string {
  const { network } = args;
  const genesis = {
    config: {
      chainId: network.chainId,
      ...Object.fromEntries(forks.map((fork) => [fork, 0])),
      ...(network.client === "goquorum"
        ? { isQuorum: true, maxCodeSizeConfig: [{ block: 0, size: 64 }], txnSizeLimit: 64 }
        : {}),
      ...engine(network),
    },
    nonce: "0x0",
    timestamp: "0x0",
    gasLimit: toQuantity(network.gasLimit),
    difficulty: network.consensus === "raft" ? "0x0" : "0x1",
    mixHash: network.consensus === "qbft" || network.consensus === "ibft" ? istanbulDigest : zeros(32),
    coinbase: zeros(20),
    extraData: extraData(network.consensus, args.validators),
    alloc: balances(args),
  };
  return `${JSON.stringify(genesis, null, 2)}\n`;
}

function engine({ consensus, blockPeriod }: GenesisArgs["network"]): Record<string, unknown> {
  const period = blockPeriod / 1000;
  switch (consensus) {
    case "qbft":
    case "ibft":
      return {
        [consensus]: {
          epochlength: epoch,
          blockperiodseconds: period,
          requesttimeoutseconds: 2 * period + 2, // a round must outlast a block
          policy: 0, // round robin
          ceil2Nby3Block: 0,
        },
      };
    case "clique":
      return { clique: { period, epoch } };
    case "raft":
      return {};
  }
}

/** Where each consensus keeps its first validators. */
export function extraData(consensus: QuorumSection["consensus"], validators: readonly string[]): string {
  const sorted = validators.map((address) => address.toLowerCase()).sort();
  switch (consensus) {
    case "qbft":
      return encodeRlp([vanity, sorted, [], "0x", []]);
    case "ibft":
      return concat([vanity, encodeRlp([sorted, "0x", []])]);
    case "clique":
      return concat([vanity, ...sorted, cliqueSeal]);
    case "raft":
      return vanity;
  }
}

function balances({ network, accounts }: GenesisArgs): Record<string, { readonly balance: string }> {
  const entries = [
    ...accounts.map((address) => [address.toLowerCase(), accountWei] as const),
    ...network.allocations.map(({ address, balance }) => [address.toLowerCase(), weiOf(balance)] as const),
  ];
  return Object.fromEntries(entries.map(([address, wei]) => [address, { balance: toQuantity(wei) }]));
}
