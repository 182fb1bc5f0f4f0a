import { ports } from "./plan.ts";
import { dataPath } from "./scope.ts";

/** Where Tessera finds its own files, which the pod's init container writes into memory, and where it keeps payloads. */
export const tesseraPaths = { run: "/run/ptm", data: `${dataPath}/tessera` } as const;

/**
 * Tessera's configuration (22.1), the same for every manager of a network; nodes/quorum/agent adds the address under
 * which others reach it. Field names are those of Tessera's `config` module.
 *
 * @param peers URLs of all managers; one that comes later tells the others of itself.
 */
export function tesseraDocument(peers: readonly string[]): string {
  const document = {
    mode: "tessera",
    useWhiteList: false,
    jdbc: {
      username: "sa",
      password: "",
      url: `jdbc:h2:${tesseraPaths.data}/db;MODE=Oracle;TRACE_LEVEL_SYSTEM_OUT=0`,
      autoCreateTables: true,
    },
    serverConfigs: [
      server("Q2T", `http://127.0.0.1:${ports.ptmNode}`), // it reads payloads: for the node of the same pod alone
      server("ThirdParty", `http://0.0.0.0:${ports.ptmClient}`),
      { ...server("P2P"), bindingAddress: `http://0.0.0.0:${ports.ptmPeer}` },
    ],
    peer: peers.map((url) => ({ url })),
    keys: {
      passwords: [],
      keyData: [
        { privateKeyPath: `${tesseraPaths.run}/tessera.key`, publicKeyPath: `${tesseraPaths.run}/tessera.pub` },
      ],
    },
    alwaysSendTo: [],
    bootstrapNode: false,
    features: { enableRemoteKeyValidation: false, enablePrivacyEnhancements: false },
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

const server = (app: string, serverAddress?: string) => ({
  app,
  enabled: true,
  ...(serverAddress === undefined ? {} : { serverAddress }),
  communicationType: "REST",
  sslConfig: { tls: "OFF" },
});
