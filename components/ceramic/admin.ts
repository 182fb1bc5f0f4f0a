import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { ConfigError } from "../kubernetes/config-error.ts";
import { groupKey } from "../kubernetes/identity.ts";
import { didOfSeed } from "./identity.ts";
import type { Scope } from "./scope.ts";

/** Who may have models indexed at every peer. */
export interface Admin {
  /** Seed of its Ed25519 key, 32 bytes in hex; a secret. */
  readonly seed: pulumi.Output<string>;
  readonly did: pulumi.Output<string>;
}

/** The network's admin: the key in the Secret that the section names, or one from the root secret. */
export function adminOf({ name, args, parent }: Scope): Admin {
  const { privateKeySecret } = args.experiment.network;
  const seed = pulumi.secret(
    privateKeySecret === undefined
      ? args.rootSecret.apply((root) => groupKey(root, "ceramic", "admin"))
      : k8s.core.v1.Secret.get(`${name}-private-key`, privateKeySecret, { parent }).data.apply((data) => {
          const [first] = Object.values(data ?? {});
          const text = Buffer.from(first ?? "", "base64")
            .toString()
            .trim();
          if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
          const rule = "the first key of that Secret does not hold 32 bytes in hex.";
          throw new ConfigError(
            name,
            "network.privateKeySecret",
            privateKeySecret,
            rule,
            "Store an Ed25519 seed in it.",
          );
        }),
  );
  return { seed, did: pulumi.unsecret(seed.apply(didOfSeed)) };
}
