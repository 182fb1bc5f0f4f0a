import { z } from "zod";

/** API version of Keramik's resources. */
export const keramikVersion = "keramik.3box.io/v1alpha1";

/** A Kubernetes quantity; whole numbers may be written without quotes. */
const quantity = z
  .union([
    z.string().regex(/^\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/, { error: 'write a quantity, such as "250m" or "1Gi"' }),
    z.int().min(0),
  ])
  .meta({ "x-kubernetes-int-or-string": true });

export const pullPolicy = z.enum(["Always", "IfNotPresent", "Never"]);
const image = z.string().min(1);
const count = z.int().min(0).max(1_000_000);
export const environment = z.record(z.string(), z.string());

export const resourceLimits = z
  .strictObject({ cpu: quantity.optional(), memory: quantity.optional(), storage: quantity.optional() })
  .meta({ description: "Both request and limit; storage is ephemeral. What a block leaves out has no limit." });

export const persistentStorage = z
  .strictObject({ size: quantity.optional(), class: z.string().min(1).optional() })
  .meta({ description: "A volume." });

const flavour = {
  image: image.optional(),
  imagePullPolicy: pullPolicy.optional(),
  resourceLimits: resourceLimits.optional(),
  storage: persistentStorage.optional(),
  storageClass: z.string().min(1).optional(),
};

const rust = z.strictObject({
  ...flavour,
  rustLog: z.string().optional(),
  env: environment.optional(),
  migrationCmd: z.array(z.string()).optional(),
});
const go = z.strictObject({ ...flavour, commands: z.array(z.string()).optional() });

/** How IPFS runs: today `rust: {...}` or `go: {...}`, once `kind: rust` with its fields beside it. */
export const ipfs = z
  .strictObject({ kind: z.enum(["rust", "go"]).optional(), ...flavour, rust: rust.optional(), go: go.optional() })
  .superRefine((written, context) => {
    const ways = [written.kind, written.rust, written.go].filter((way) => way !== undefined);
    if (ways.length !== 1) {
      context.addIssue({ code: "custom", message: "say how IPFS runs once: rust, go, or kind" });
    }
    const beside = Object.keys(flavour).find((key) => key in written);
    if (written.kind === undefined && beside !== undefined) {
      context.addIssue({ code: "custom", path: [beside], message: "it belongs inside rust or go" });
    }
  })
  .meta({
    description: "How IPFS runs.",
    "x-kubernetes-validations": [
      {
        rule: "[has(self.kind), has(self.rust), has(self.go)].filter(way, way).size() == 1",
        message: "say how IPFS runs once: rust, go, or kind",
      },
    ],
  });

/** One group of peers. */
export const ceramicSpec = z.strictObject({
  weight: z.int().min(0).max(1_000_000).optional(),
  initConfigMap: z.string().optional(),
  initImageName: image.optional(),
  image: image.optional(),
  imagePullPolicy: pullPolicy.optional(),
  ipfs: ipfs.optional(),
  resourceLimits: resourceLimits.optional(),
  storage: persistentStorage.optional(),
  postgresResourceLimits: resourceLimits.optional(),
  postgresStorage: persistentStorage.optional(),
  env: environment.optional(),
});

export const bootstrap = z.strictObject({
  enabled: z.boolean().optional(),
  image: image.optional(),
  imagePullPolicy: pullPolicy.optional(),
  method: z.enum(["ring", "random", "sentinel"]).optional(),
  n: count.optional(),
  percent: z
    .union([z.int().min(0).max(100), z.string().regex(/^\d{1,3}%$/)])
    .optional()
    .meta({ description: "Share of peers that have to be ready first.", "x-kubernetes-int-or-string": true }),
});

export const cas = z.strictObject({
  image: image.optional(),
  imagePullPolicy: pullPolicy.optional(),
  ipfs: ipfs.optional(),
  casResourceLimits: resourceLimits.optional(),
  casStorage: persistentStorage.optional(),
  ipfsResourceLimits: resourceLimits.optional(),
  ipfsStorage: persistentStorage.optional(),
  ganacheResourceLimits: resourceLimits.optional(),
  ganacheStorage: persistentStorage.optional(),
  postgresResourceLimits: resourceLimits.optional(),
  postgresStorage: persistentStorage.optional(),
  localstackResourceLimits: resourceLimits.optional(),
  localstackStorage: persistentStorage.optional(),
  api: z.strictObject({ env: environment.optional() }).optional(),
});

const selectorRequirement = z.strictObject({
  key: z.string().min(1),
  operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]),
  values: z.array(z.string()).optional(),
});

export const nodeSelectorTerm = z.strictObject({
  matchExpressions: z.array(selectorRequirement).optional(),
  matchFields: z.array(selectorRequirement).optional(),
});

/** What every resource says of itself; the API server adds more, which is read over. */
export const metadata = z.looseObject({
  name: z.string().regex(/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/, {
    error: "a name is 1 to 40 lower-case letters, digits and dashes, starting with a letter",
  }),
  namespace: z.string().optional(),
});
