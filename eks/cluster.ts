import { LaunchTemplate } from "@pulumi/aws/ec2/launchTemplate.js";
import { Repository } from "@pulumi/aws/ecr/repository.js";
import { Addon } from "@pulumi/aws/eks/addon.js";
import { Cluster } from "@pulumi/aws/eks/cluster.js";
import { NodeGroup } from "@pulumi/aws/eks/nodeGroup.js";
import { OpenIdConnectProvider } from "@pulumi/aws/iam/openIdConnectProvider.js";
import { Role } from "@pulumi/aws/iam/role.js";
import { RolePolicyAttachment } from "@pulumi/aws/iam/rolePolicyAttachment.js";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { EksIngress } from "./ingress.ts";
import type { EksNetwork } from "./network.ts";
import { architectureOf, type ClusterSettings, tagsOf } from "./settings.ts";

/** Name of the StorageClass experiments use. */
export const storageClass = "gp3";
const managedPolicy = (name: string) => `arn:aws:iam::aws:policy/${name}`;
const csiAccount = "system:serviceaccount:kube-system:ebs-csi-controller-sa";

export interface EksClusterArgs {
  readonly settings: ClusterSettings;
  readonly network: EksNetwork;
  /** Names of the images that get a repository. */
  readonly images: readonly string[];
}

/**
 * A Kubernetes of EKS with nodes, volumes and image repositories.
 *
 * It creates: the control plane, whose API answers inside the VPC and to the ranges of `apiAccess`; one managed node group
 * on private subnets with encrypted disks and IMDSv2; the add-ons for network (NetworkPolicies enforced), DNS, proxy and
 * EBS volumes, the last with a role of its own through OIDC; an encrypted default StorageClass that deletes its volumes;
 * an ingress controller if asked for ({@link EksIngress}); and an ECR repository per image. Cost: see cost.ts.
 *
 * ```ts
 * const cluster = new EksCluster("cluster", {settings, network, images: ["kv", "driver"]}, {provider: aws});
 * ```
 */
export class EksCluster extends pulumi.ComponentResource {
  readonly kubeconfig: pulumi.Output<string>;
  readonly repositories: Readonly<Record<string, pulumi.Output<string>>>;
  /** DNS name under which web apps answer; absent without `ingressAccess`. */
  readonly ingress?: pulumi.Output<string>;

  constructor(name: string, args: EksClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("orrery:eks:EksCluster", name, {}, opts);
    const scope: Scope = { name, ...args, parent: this };
    const controlPlane = createControlPlane(scope);
    const network = createAddon(scope, controlPlane, "vpc-cni", [], {
      configurationValues: JSON.stringify({ enableNetworkPolicy: "true" }), // before nodes, so that no pod starts without
    });
    const nodes = createNodes(scope, controlPlane, [network]);
    for (const addon of ["coredns", "kube-proxy"]) createAddon(scope, controlPlane, addon, [nodes]);
    const volumes = createAddon(scope, controlPlane, "aws-ebs-csi-driver", [nodes], {
      serviceAccountRoleArn: createVolumeRole(scope, controlPlane).arn,
    });
    this.kubeconfig = kubeconfigOf(args.settings, controlPlane);
    const kubernetes = new k8s.Provider(`${name}-kubernetes`, { kubeconfig: this.kubeconfig }, { parent: this });
    createStorageClass(scope, kubernetes, [nodes, volumes]);
    if (args.settings.ingressAccess.length > 0) {
      const options = { parent: this, provider: kubernetes };
      this.ingress = new EksIngress(`${name}-ingress`, { settings: args.settings, needed: [nodes] }, options).host;
    }
    this.repositories = createRepositories(scope);
    this.registerOutputs({ kubeconfig: this.kubeconfig, repositories: this.repositories });
  }
}

interface Scope extends EksClusterArgs {
  readonly name: string;
  readonly parent: pulumi.Resource;
}

/** Who may take a role, and nobody else. */
const trust = (statement: Readonly<Record<string, unknown>>): string =>
  JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", ...statement }] });

/** A role of an AWS service with policies AWS keeps. */
function createServiceRole({ parent }: Scope, name: string, service: string, policies: readonly string[]) {
  const role = new Role(
    `${name}-role`,
    { assumeRolePolicy: trust({ Action: "sts:AssumeRole", Principal: { Service: service } }) },
    { parent },
  );
  const attached = policies.map(
    (policy) =>
      new RolePolicyAttachment(`${name}-${policy}`, { role: role.name, policyArn: managedPolicy(policy) }, { parent }),
  );
  return { role, attached };
}

function createControlPlane(scope: Scope): Cluster {
  const { name, settings, network, parent } = scope;
  const { role, attached } = createServiceRole(scope, name, "eks.amazonaws.com", ["AmazonEKSClusterPolicy"]);
  return new Cluster(
    name,
    {
      name: settings.name,
      version: settings.kubernetes,
      roleArn: role.arn,
      accessConfig: { authenticationMode: "API", bootstrapClusterCreatorAdminPermissions: true },
      enabledClusterLogTypes: ["audit", "authenticator"],
      kubernetesNetworkConfig: { serviceIpv4Cidr: "172.20.0.0/16" }, // as target.ts says
      vpcConfig: {
        subnetIds: [...network.privateSubnets],
        endpointPrivateAccess: true,
        endpointPublicAccess: settings.apiAccess.length > 0,
        ...(settings.apiAccess.length > 0 ? { publicAccessCidrs: settings.apiAccess } : {}),
      },
    },
    { parent, dependsOn: [...attached, ...network.ready] },
  );
}

function createNodes(scope: Scope, cluster: Cluster, needed: readonly pulumi.Resource[]): NodeGroup {
  const { settings, network, parent } = scope;
  const name = `${scope.name}-nodes`;
  const { role, attached } = createServiceRole(scope, name, "ec2.amazonaws.com", [
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonEC2ContainerRegistryPullOnly",
  ]);
  const isArm = architectureOf(settings.instanceTypes[0] ?? "") === "arm64";
  const template = new LaunchTemplate(
    `${name}-template`,
    {
      blockDeviceMappings: [
        {
          deviceName: "/dev/xvda",
          ebs: { volumeSize: settings.disk, volumeType: "gp3", encrypted: "true", deleteOnTermination: "true" },
        },
      ],
      metadataOptions: { httpTokens: "required", httpPutResponseHopLimit: 1 }, // pods cannot borrow the node's role
      tagSpecifications: ["instance", "volume", "network-interface"].map((resourceType) => ({
        resourceType,
        tags: tagsOf(settings), // what a launch template makes does not get the provider's default tags
      })),
    },
    { parent },
  );
  return new NodeGroup(
    name,
    {
      clusterName: cluster.name,
      nodeRoleArn: role.arn,
      subnetIds: [...network.privateSubnets],
      instanceTypes: settings.instanceTypes,
      amiType: isArm ? "AL2023_ARM_64_STANDARD" : "AL2023_x86_64_STANDARD",
      launchTemplate: { id: template.id, version: template.latestVersion.apply(String) },
      scalingConfig: { minSize: settings.nodes, desiredSize: settings.nodes, maxSize: settings.nodes },
    },
    { parent, dependsOn: [...attached, ...network.ready, ...needed] },
  );
}

function createAddon(
  { name, parent }: Scope,
  cluster: Cluster,
  addonName: string,
  needed: readonly pulumi.Resource[],
  settings: { readonly configurationValues?: string; readonly serviceAccountRoleArn?: pulumi.Output<string> } = {},
): Addon {
  const options = { parent, dependsOn: [...needed] };
  const conflicts = { resolveConflictsOnCreate: "OVERWRITE", resolveConflictsOnUpdate: "OVERWRITE" };
  return new Addon(
    `${name}-${addonName}`,
    { clusterName: cluster.name, addonName, ...conflicts, ...settings },
    options,
  );
}

/** The role of the volume controller's ServiceAccount: the cluster's own tokens are its credentials (IRSA). */
function createVolumeRole({ name, parent }: Scope, cluster: Cluster): Role {
  const issuer = cluster.identities.apply((identities) => identities[0]?.oidcs?.[0]?.issuer ?? "");
  const provider = new OpenIdConnectProvider(
    `${name}-oidc`,
    { url: issuer, clientIdLists: ["sts.amazonaws.com"] },
    { parent },
  );
  const assumeRolePolicy = pulumi.all([issuer, provider.arn]).apply(([url, arn]) => {
    const host = url.replace(/^https:\/\//, "");
    return trust({
      Action: "sts:AssumeRoleWithWebIdentity",
      Principal: { Federated: arn },
      Condition: { StringEquals: { [`${host}:sub`]: csiAccount, [`${host}:aud`]: "sts.amazonaws.com" } },
    });
  });
  const role = new Role(`${name}-volumes-role`, { assumeRolePolicy }, { parent });
  const policyArn = managedPolicy("service-role/AmazonEBSCSIDriverPolicy");
  new RolePolicyAttachment(`${name}-volumes-policy`, { role: role.name, policyArn }, { parent });
  return role;
}

/** A kubeconfig without secrets: the AWS command line makes a token for each use. */
function kubeconfigOf({ region }: ClusterSettings, cluster: Cluster): pulumi.Output<string> {
  const authority = cluster.certificateAuthority.apply((found) => found?.data ?? "");
  return pulumi.all([cluster.name, cluster.endpoint, authority]).apply(([name, server, data]) =>
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name, cluster: { server, "certificate-authority-data": data } }],
      users: [
        {
          name,
          user: {
            exec: {
              apiVersion: "client.authentication.k8s.io/v1beta1",
              command: "aws",
              args: ["--region", region, "eks", "get-token", "--cluster-name", name, "--output", "json"],
              interactiveMode: "Never",
            },
          },
        },
      ],
      contexts: [{ name, context: { cluster: name, user: name } }],
      "current-context": name,
    }),
  );
}

/** Deletes the disk with the claim, so that a destroyed experiment leaves none behind. */
function createStorageClass(
  { name, settings, parent }: Scope,
  provider: k8s.Provider,
  needed: readonly pulumi.Resource[],
): void {
  const tags = Object.entries(tagsOf(settings)).map(([key, value], index) => [
    `tagSpecification_${index + 1}`,
    `${key}=${value}`,
  ]);
  new k8s.storage.v1.StorageClass(
    `${name}-storage`,
    {
      metadata: {
        name: storageClass,
        annotations: { "storageclass.kubernetes.io/is-default-class": "true" },
      },
      provisioner: "ebs.csi.aws.com",
      parameters: { type: "gp3", encrypted: "true", "csi.storage.k8s.io/fstype": "ext4", ...Object.fromEntries(tags) },
      reclaimPolicy: "Delete",
      volumeBindingMode: "WaitForFirstConsumer", // a disk lives in one zone: the pod's
      allowVolumeExpansion: true,
    },
    { parent, provider, dependsOn: [...needed] },
  );
}

function createRepositories({ name, settings, images, parent }: Scope): Record<string, pulumi.Output<string>> {
  const made = images.map((image) => {
    const repository = new Repository(
      `${name}-image-${image}`,
      {
        name: `${settings.name}/${image}`,
        imageTagMutability: "IMMUTABLE",
        imageScanningConfiguration: { scanOnPush: true },
        encryptionConfigurations: [{ encryptionType: "AES256" }],
        forceDelete: true,
      },
      { parent },
    );
    return [image, repository.repositoryUrl] as const;
  });
  return Object.fromEntries(made);
}
