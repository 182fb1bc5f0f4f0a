import { stringify } from "yaml";
import { type RenderedResource, withoutSecrets } from "./render.ts";

/** A file of a rendered folder. */
export interface RenderedFile {
  readonly path: string;
  readonly text: string;
}

/** Objects that have to be there before others are applied. */
const first = ["Namespace", "StorageClass", "ServiceAccount", "Role", "ClusterRole", "Secret", "ConfigMap"];

/** Kubernetes manifests of a graph, as a YAML stream; secret values are left out. */
export function manifests(resources: readonly RenderedResource[]): string {
  return kubernetesObjects(resources).map(objectText).join("---\n");
}

/**
 * A Kustomize base: one file an object and a kustomization.yaml that names them. Secrets become entries of a
 * secretGenerator that reads `secrets/<name>/<key>`, files which whoever deploys has to provide.
 */
export function kustomization(resources: readonly RenderedResource[]): RenderedFile[] {
  const objects = kubernetesObjects(resources);
  const files = objects
    .filter((resource) => resource.inputs.kind !== "Secret")
    .map((resource) => ({
      path: fileName(resource),
      text: objectText(resource),
    }));
  const secrets = objects.filter((resource) => resource.inputs.kind === "Secret").map(secretGenerator);
  const kustomization = {
    apiVersion: "kustomize.config.k8s.io/v1beta1",
    kind: "Kustomization",
    resources: files.map((file) => file.path),
    ...(secrets.length > 0 ? { generatorOptions: { disableNameSuffixHash: true }, secretGenerator: secrets } : {}),
  };
  return [{ path: "kustomization.yaml", text: stringify(kustomization, forKubernetes) }, ...files];
}

/** Readers of manifests go by YAML 1.1, to which a plain `off`, `yes` or `0o644` is no text. */
const forKubernetes = { compat: "yaml-1.1" } as const;

const objectText = (resource: RenderedResource): string =>
  stringify(withoutSecrets(resource), { ...forKubernetes, sortMapEntries: true });

function secretGenerator({ inputs }: RenderedResource): unknown {
  const { name, namespace, labels } = metadataOf(inputs);
  const keys = Object.keys({ ...(inputs.data as object), ...(inputs.stringData as object) }).sort();
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels === undefined ? {} : { options: { labels } }),
    files: keys.map((key) => `${key}=secrets/${name}/${key}`),
  };
}

/** Settings of {@link operatorStack}. */
export interface OperatorStackSettings {
  /** Stack name, e.g. `kv-eks`. */
  readonly stack: string;
  /** Git repository that holds the project, and what of it is deployed. */
  readonly repository: string;
  readonly branch: string;
  /** Stack configuration without the `orrery:` prefix; secret values do not belong here. */
  readonly config: Readonly<Record<string, string>>;
  readonly namespace: string;
}

/**
 * A `Stack` of the Pulumi Kubernetes Operator 2, with the ServiceAccount its workspace pod runs as. The operator runs
 * the same program as `pulumi up`; the root secret and the passphrase come from the Secret `<stack>-pulumi`.
 *
 * Fields: pulumi/pulumi-kubernetes-operator, `pulumi.com/v1` Stack.
 */
export function operatorStack(settings: OperatorStackSettings): string {
  const { stack, namespace } = settings;
  const labels = { "app.kubernetes.io/part-of": "orrery", "app.kubernetes.io/instance": stack };
  const account = `${stack}-pulumi`;
  const fromSecret = (key: string) => ({ type: "Secret", secret: { name: account, key } });
  const objects = [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: account, namespace, labels } },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: `${namespace}-${account}`, labels },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
      subjects: [{ kind: "ServiceAccount", name: account, namespace }],
    },
    {
      apiVersion: "pulumi.com/v1",
      kind: "Stack",
      metadata: { name: stack, namespace, labels },
      spec: {
        stack,
        projectRepo: settings.repository,
        branch: settings.branch,
        serviceAccountName: account,
        destroyOnFinalize: true,
        refresh: true,
        config: Object.fromEntries(Object.entries(settings.config).map(([key, value]) => [`orrery:${key}`, value])),
        secretsRef: { "orrery:rootSecret": fromSecret("rootSecret") },
        envRefs: {
          PULUMI_CONFIG_PASSPHRASE: fromSecret("passphrase"),
          PULUMI_BACKEND_URL: fromSecret("backend"),
        },
      },
    },
  ];
  return objects.map((object) => stringify(object, forKubernetes)).join("---\n");
}

/** The Kubernetes objects in an order they can be applied in; those Pulumi would name are named as in the program. */
function kubernetesObjects(resources: readonly RenderedResource[]): RenderedResource[] {
  const rank = ({ inputs }: RenderedResource) => {
    const at = first.indexOf(String(inputs.kind));
    return at < 0 ? first.length : at;
  };
  return resources
    .filter((resource) => resource.type.startsWith("kubernetes:"))
    .map((resource) => {
      const metadata = { name: resource.name, ...(resource.inputs.metadata as object | undefined) };
      return { ...resource, inputs: { ...resource.inputs, metadata } };
    })
    .sort((left, right) => rank(left) - rank(right));
}

function metadataOf(inputs: RenderedResource["inputs"]): {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: unknown;
} {
  return inputs.metadata as { name: string; namespace?: string; labels?: unknown };
}

function fileName(resource: RenderedResource): string {
  return `${String(resource.inputs.kind).toLowerCase()}-${metadataOf(resource.inputs).name}.yaml`;
}
