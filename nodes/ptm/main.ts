import { z } from "zod";
import { createClientApi } from "./api/client.ts";
import { version } from "./api/common.ts";
import { createNodeApi } from "./api/node.ts";
import { createPeerApi } from "./api/peer.ts";
import { type Config, readConfig } from "./config.ts";
import { toBase64 } from "./keys.ts";
import { addressOf, close, listen } from "./listen.ts";
import { log, messageOf } from "./log.ts";
import { Manager } from "./manager.ts";
import { Metrics } from "./metrics.ts";
import { Peers } from "./peers.ts";
import { PayloadStore } from "./store.ts";

const exitCodes = { stopped: 0, badInput: 3, failed: 4 } as const;

/** Serves until SIGTERM; every payload that was acknowledged is on disk at any moment. */
async function serve(config: Config): Promise<void> {
  const { mode, ordinal, keys, peersFile, peers, pushLimitMs } = config;
  const metrics = new Metrics();
  const store = await PayloadStore.open(config.dataDir);
  const manager = new Manager(keys, store, new Peers(peersFile, peers, keys, pushLimitMs, metrics), metrics);
  let stopping = false;
  const parts = { manager, metrics, mode, store, ready: () => !stopping };

  // The node comes last: once it is answered, the others can be reached by their peers.
  const servers = [
    await listen(createPeerApi(parts), config.peer),
    await listen(createClientApi(parts), config.client),
    await listen(createNodeApi(parts), config.node),
  ];
  const [peer, client, node] = servers.map(addressOf);
  log("info", "the private-transaction manager serves: a stand-in for Constellation and Tessera", {
    ...{ version, mode, ordinal, publicKey: toBase64(keys.publicKey), payloads: store.count },
    ...{ peer, client, node },
  });

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      stopping = true;
      log("info", "the private-transaction manager stops", { signal });
      Promise.all(servers.map(close)).then(
        () => process.exit(exitCodes.stopped),
        (error: unknown) => {
          log("error", "the servers did not stop", { problem: messageOf(error) });
          process.exit(exitCodes.failed);
        },
      );
    });
  }
}

try {
  await serve(await readConfig(process.env));
} catch (error) {
  const problem = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
  log("error", "the private-transaction manager cannot start", { problem });
  process.exit(exitCodes.badInput);
}
