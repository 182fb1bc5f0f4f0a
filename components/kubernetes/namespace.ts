import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";

/** A namespace and its name: plain, for DNS names, and as an output that is known once the namespace exists. */
export interface NamespaceHandle {
  readonly name: string;
  readonly created: pulumi.Output<string>;
  readonly resource: pulumi.Resource;
}

/** A namespace whose pods must meet the restricted Pod Security Standard. */
export function restrictedNamespace(
  resourceName: string,
  name: string,
  labels: Record<string, string>,
  opts: pulumi.CustomResourceOptions,
): NamespaceHandle {
  const security = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/enforce-version": "latest",
  };
  const resource = new k8s.core.v1.Namespace(
    resourceName,
    { metadata: { name, labels: { ...labels, ...security } } },
    opts,
  );
  return { name, created: resource.metadata.name, resource };
}
