import { type CeramicSection, hasOwnAnchors } from "../../schema/systems/ceramic.ts";
import { type CeramicGroup, kuboSetting } from "../../schema/systems/ceramic-group.ts";

/** Ports of a peer's pod. */
export const ports = {
  api: 7007,
  metrics: 9464,
  rpc: 5101,
  flight: 5102,
  swarm: 4101,
  ipfsMetrics: 9465,
  debug: 9229,
  postgres: 5432,
} as const;

/** Services of a local network's own anchors. */
export const anchorService = { cas: "cas", casPort: 8081, chain: "ganache", chainPort: 8545 } as const;

/** Where the programs keep what has to stay. */
export const paths = { ceramic: "/ceramic-data", ipfs: "/data/ipfs", config: "/config" } as const;

/** Pubsub topic of networks that have none of their own; the same for all peers, or they would not meet. */
const localTopic = "/ceramic/local-0";

/** Anchor service and chain of a network, if it has any. */
export function anchorUrls(network: CeramicSection): { readonly cas?: string; readonly chain?: string } {
  if (hasOwnAnchors(network)) {
    return {
      cas: `http://${anchorService.cas}:${anchorService.casPort}`,
      chain: network.ethRpcUrl ?? `http://${anchorService.chain}:${anchorService.chainPort}`,
    };
  }
  return {
    ...(network.casApiUrl === undefined ? {} : { cas: network.casApiUrl }),
    ...(network.ethRpcUrl === undefined ? {} : { chain: network.ethRpcUrl }),
  };
}

/** Variables of js-ceramic by their names in Keramik, with what a group says over them. */
export function ceramicEnvironment(network: CeramicSection, group: CeramicGroup): Record<string, string> {
  const { cas, chain } = anchorUrls(network);
  const isolated = network.networkType === "inmemory" || network.networkType === "local";
  return {
    CAS_API_URL: cas ?? "",
    CERAMIC_CORS_ALLOWED_ORIGINS: ".*",
    CERAMIC_IPFS_HOST: `http://127.0.0.1:${ports.rpc}`,
    CERAMIC_LOG_LEVEL: "2",
    CERAMIC_NETWORK: network.networkType,
    ...(isolated ? { CERAMIC_NETWORK_TOPIC: localTopic } : {}),
    CERAMIC_PUBSUB_QPS_LIMIT: "500", // of its default, 10, most queries of a loaded peer wait
    CERAMIC_SQLITE_PATH: `${paths.ceramic}/ceramic.db`,
    CERAMIC_STATE_STORE_PATH: `${paths.ceramic}/statestore`,
    ETH_RPC_URL: chain ?? "",
    NODE_ENV: "production",
    ...(network.debugMode ? { NODE_OPTIONS: `--inspect=127.0.0.1:${ports.debug}` } : {}),
    ...group.env,
  };
}

/** js-ceramic's configuration but for the peer's own key, from its variables. */
export function daemonConfig(environment: Record<string, string>, adminDid: string, index: string): unknown {
  const of = (name: string): string => environment[name] ?? "";
  return {
    anchor: {
      ...(of("CAS_API_URL") === "" ? {} : { "anchor-service-url": of("CAS_API_URL"), "auth-method": "did" }),
      ...(of("ETH_RPC_URL") === "" ? {} : { "ethereum-rpc-url": of("ETH_RPC_URL") }),
    },
    "http-api": {
      hostname: "0.0.0.0",
      port: ports.api,
      "cors-allowed-origins": [of("CERAMIC_CORS_ALLOWED_ORIGINS")],
      "admin-dids": [adminDid],
    },
    ipfs: { mode: "remote", host: of("CERAMIC_IPFS_HOST") },
    logger: { "log-level": Number(of("CERAMIC_LOG_LEVEL")), "log-to-files": false },
    metrics: {
      "prometheus-exporter-enabled": true,
      "prometheus-exporter-port": ports.metrics,
      "metrics-exporter-enabled": false,
      "metrics-publisher-enabled": false,
    },
    network: {
      name: of("CERAMIC_NETWORK"),
      ...(of("CERAMIC_NETWORK_TOPIC") === "" ? {} : { "pubsub-topic": of("CERAMIC_NETWORK_TOPIC") }),
    },
    node: {},
    "state-store": { mode: "fs", "local-directory": of("CERAMIC_STATE_STORE_PATH") },
    indexing: {
      db: index,
      "allow-queries-before-historical-sync": true,
      "enable-historical-sync": false,
      "disable-composedb": false,
    },
  };
}

/** kubo's configuration but for the peer's own key and whom it keeps connections to. */
export function kuboConfig(network: CeramicSection, group: CeramicGroup): unknown {
  const dht = network.routing === "dht";
  const config: Record<string, unknown> = {
    Addresses: {
      API: `/ip4/0.0.0.0/tcp/${ports.rpc}`,
      Gateway: [],
      Swarm: [`/ip4/0.0.0.0/tcp/${ports.swarm}`],
      Announce: [],
      AppendAnnounce: [],
      NoAnnounce: [],
    },
    AutoConf: { Enabled: false },
    AutoTLS: { Enabled: false },
    Bootstrap: [],
    Datastore: { StorageMax: "10GB", Spec: blockStore },
    Discovery: { MDNS: { Enabled: false } },
    DNS: { Resolvers: {} },
    Ipns: { DelegatedPublishers: [] },
    Plugins: { Plugins: { telemetry: { Disabled: true } } },
    Provide: { Enabled: dht },
    Pubsub: { Enabled: true },
    Routing: { Type: dht ? "dhtserver" : "none", DelegatedRouters: [] },
    Swarm: {
      DisableNatPortMap: true,
      EnableHolePunching: false,
      RelayClient: { Enabled: false },
      RelayService: { Enabled: false },
      ResourceMgr: { MaxMemory: "400MB", MaxFileDescriptors: 500_000 },
      Transports: { Network: {}, Security: {}, Multiplexers: {} },
    },
  };
  if (group.ipfs.kind === "go") {
    for (const line of group.ipfs.commands) {
      const setting = kuboSetting(line);
      if (setting !== undefined) set(config, setting.path, setting.value);
    }
  }
  return config;
}

/** Where kubo keeps blocks and the rest: its own defaults, written out because a repository is made from this file. */
const blockStore = {
  type: "mount",
  mounts: [
    {
      mountpoint: "/blocks",
      type: "measure",
      prefix: "flatfs.datastore",
      child: { type: "flatfs", path: "blocks", sync: true, shardFunc: "/repo/flatfs/shard/v1/next-to-last/2" },
    },
    {
      mountpoint: "/",
      type: "measure",
      prefix: "leveldb.datastore",
      child: { type: "levelds", path: "datastore", compression: "none" },
    },
  ],
};

function set(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key, ...rest] = path;
  if (key === undefined) return;
  if (rest.length === 0) {
    target[key] = value;
    return;
  }
  const inner = target[key];
  const next = typeof inner === "object" && inner !== null && !Array.isArray(inner) ? { ...inner } : {};
  target[key] = next;
  set(next as Record<string, unknown>, rest, value);
}
