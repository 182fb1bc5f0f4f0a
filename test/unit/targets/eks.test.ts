import { Provider } from "@pulumi/aws/provider.js";
import * as pulumi from "@pulumi/pulumi";
import { describe, expect, test } from "vitest";
import { EksCluster } from "../../../eks/cluster.ts";
import { describeCost, estimate, stackCost } from "../../../eks/cost.ts";
import { PublishedImages } from "../../../eks/images.ts";
import { ingressClass } from "../../../eks/ingress.ts";
import { EksNetwork } from "../../../eks/network.ts";
import { architectureOf, type ClusterSettings, clusterSettingsSchema, tagsOf } from "../../../eks/settings.ts";
import { type RenderedResource, render } from "../../../stacks/render.ts";

const minimal = { region: "eu-west-1", owner: "networks", ttl: "8h" };
const settings = clusterSettingsSchema.parse(minimal);

const learned = (type: string) => ({
  arn: `arn:aws:mock:${type}`,
  ...(type === "docker-build:index:Image" ? { ref: "pushed@sha256:0" } : {}),
  ...(type === "aws:eks/cluster:Cluster"
    ? {
        endpoint: "https://example.gr7.eu-west-1.eks.amazonaws.com",
        identities: [{ oidcs: [{ issuer: "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE" }] }],
        certificateAuthority: { data: "Y2E=" },
      }
    : {}),
});

/** The program's resources with the SDK's own types, against mocks. Does not prove that AWS accepts them. */
async function graphOf(changes: Partial<ClusterSettings> = {}): Promise<RenderedResource[]> {
  const chosen = { ...settings, ...changes };
  return await render(() => {
    const provider = new Provider("aws", { region: "eu-west-1", defaultTags: { tags: tagsOf(chosen) } });
    const network = new EksNetwork("network", chosen, { provider });
    new EksCluster("cluster", { settings: chosen, network, images: ["kv", "driver"] }, { provider });
  }, learned);
}
const graph = await graphOf();
const of = (type: string, resources = graph) => resources.filter((resource) => resource.type === type);
const inputs = (type: string, resources = graph) => of(type, resources).map((resource) => resource.inputs);

describe("what is made", () => {
  test("is a private network per zone, one control plane, one node group, and the parts around", () => {
    const counts = Object.fromEntries(
      Object.entries(Object.groupBy(graph, ({ type }) => type)).map(([type, all]) => [type, all?.length]),
    );
    expect(counts).toMatchObject({
      "aws:ec2/vpc:Vpc": 1,
      "aws:ec2/subnet:Subnet": 4,
      "aws:ec2/natGateway:NatGateway": 1,
      "aws:eks/cluster:Cluster": 1,
      "aws:eks/nodeGroup:NodeGroup": 1,
      "aws:eks/addon:Addon": 4,
      "aws:iam/openIdConnectProvider:OpenIdConnectProvider": 1,
      "aws:ecr/repository:Repository": 2,
      "kubernetes:storage.k8s.io/v1:StorageClass": 1,
    });
  });

  test("Graviton types get the image of their architecture", async () => {
    const arm = await graphOf({ instanceTypes: ["m7g.xlarge", "c7g.xlarge"] });
    expect(inputs("aws:eks/nodeGroup:NodeGroup", arm)).toMatchObject([{ amiType: "AL2023_ARM_64_STANDARD" }]);
    expect(inputs("aws:eks/nodeGroup:NodeGroup")).toMatchObject([{ amiType: "AL2023_x86_64_STANDARD" }]);
    expect(["t4g.large", "m7gd.large", "g5.xlarge", "m7i.large", "a1.large"].map(architectureOf)).toEqual([
      "arm64",
      "arm64",
      "amd64",
      "amd64",
      "arm64",
    ]);
  });

  test("only the volume controller's ServiceAccount may take its role", () => {
    const role = of("aws:iam/role:Role").find(({ name }) => name === "cluster-volumes-role");
    expect(role).toBeDefined();
    const trust = JSON.parse(String(role?.inputs.assumeRolePolicy));
    expect(Object.values(trust.Statement[0].Condition.StringEquals)).toEqual([
      "system:serviceaccount:kube-system:ebs-csi-controller-sa",
      "sts.amazonaws.com",
    ]);
  });
});

const contexts = [
  { name: "base", tag: "b" },
  { name: "kv", tag: "c", base: "base" },
];
async function publishedGraph(list: typeof contexts | { name: string; tag: string; base?: string }[] = contexts) {
  return await render(() => {
    const provider = new Provider("aws", { region: "eu-west-1" });
    const repositories = {
      base: pulumi.output("1.dkr.ecr.example/orrery/base"),
      kv: pulumi.output("1.dkr.ecr.example/orrery/kv"),
    };
    const login = pulumi.output({ userName: "AWS", password: "let-me-in" });
    const args = { settings, repositories, login, folder: "contexts", contexts: list };
    new PublishedImages("images", args, { provider });
  }, learned);
}

describe("published images", () => {
  test("are pushed under the hash of their content, for the nodes' processors, on top of the base that was pushed", async () => {
    const published = of("docker-build:index:Image", await publishedGraph());
    const images = published.map((one) => one.inputs);
    expect(images.map(({ tags, platforms, push }) => ({ tags, platforms, push }))).toEqual([
      { tags: ["1.dkr.ecr.example/orrery/base:b"], platforms: ["linux/amd64"], push: true },
      { tags: ["1.dkr.ecr.example/orrery/kv:c"], platforms: ["linux/amd64"], push: true },
    ]);
    expect(images[1]).toMatchObject({
      context: { location: "contexts/kv" },
      dockerfile: { location: "contexts/kv/Containerfile" },
      buildArgs: { BASE: "pushed@sha256:0" },
    });
    for (const { secrets } of published) expect(secrets).toEqual(["registries"]);
  });

  test("one without a repository, or before its base, is refused", async () => {
    await expect(publishedGraph([{ name: "warp", tag: "d" }])).rejects.toThrow("no repository for the image warp");
    await expect(publishedGraph([...contexts].reverse())).rejects.toThrow("comes before that of its base, base");
  });
});

describe("the ingress controller", async () => {
  const open = await graphOf({ ingressAccess: ["203.0.113.0/24"] });

  test("is there only when somebody may reach it, and costs a load balancer", () => {
    expect(of("kubernetes:apps/v1:Deployment")).toEqual([]);
    expect(of("kubernetes:apps/v1:Deployment", open)).toHaveLength(1);
    const cost = (ingressAccess: string[]) => estimate({ ...settings, ingressAccess }).map(({ what }) => what);
    expect(cost(["203.0.113.0/24"])).toContain("load balancer");
    expect(cost([])).not.toContain("load balancer");
  });

  test("lets in the ranges that were named, and its load balancer is tagged", () => {
    const [service] = inputs("kubernetes:core/v1:Service", open);
    expect(service).toMatchObject({
      spec: { type: "LoadBalancer", loadBalancerSourceRanges: ["203.0.113.0/24"] },
      metadata: {
        annotations: {
          "service.beta.kubernetes.io/aws-load-balancer-additional-resource-tags":
            expect.stringContaining("orrery.dev/owner=networks"),
        },
      },
    });
    expect(clusterSettingsSchema.safeParse({ ...minimal, ingressAccess: ["0.0.0.0/0"] }).success).toBe(false);
  });

  test("serves the class it makes, and may change nothing but the status of Ingress objects", () => {
    expect(inputs("kubernetes:networking.k8s.io/v1:IngressClass", open)).toMatchObject([
      { metadata: { name: ingressClass } },
    ]);
    const [pods] = inputs("kubernetes:apps/v1:Deployment", open) as { spec: { template: { spec: unknown } } }[];
    expect(pods?.spec.template.spec).toMatchObject({
      containers: [{ args: expect.arrayContaining([`--providers.kubernetesingress.ingressclass=${ingressClass}`]) }],
    });
    const [role] = inputs("kubernetes:rbac.authorization.k8s.io/v1:ClusterRole", open) as {
      rules: { resources: string[]; verbs: string[] }[];
    }[];
    const writing = role?.rules.filter(({ verbs }) => verbs.some((verb) => !["get", "list", "watch"].includes(verb)));
    expect(writing?.flatMap(({ resources }) => resources)).toEqual(["ingresses/status"]);
  });
});

describe("policies", () => {
  test("no node and no subnet gets a public address, and nodes are in private subnets", () => {
    for (const subnet of inputs("aws:ec2/subnet:Subnet")) expect(subnet.mapPublicIpOnLaunch).toBe(false);
    const privateIds = of("aws:ec2/subnet:Subnet")
      .filter(({ name }) => name.includes("private"))
      .map(({ name }) => `${name}-id`);
    for (const group of inputs("aws:eks/nodeGroup:NodeGroup")) expect(group.subnetIds).toEqual(privateIds);
    expect(of("aws:ec2/securityGroup:SecurityGroup")).toEqual([]);
  });

  test("the API server answers inside the VPC only, or to named ranges", async () => {
    expect(inputs("aws:eks/cluster:Cluster")).toMatchObject([
      { vpcConfig: { endpointPrivateAccess: true, endpointPublicAccess: false } },
    ]);
    const open = await graphOf({ apiAccess: ["203.0.113.0/24"] });
    expect(inputs("aws:eks/cluster:Cluster", open)).toMatchObject([
      { vpcConfig: { endpointPublicAccess: true, publicAccessCidrs: ["203.0.113.0/24"] } },
    ]);
    expect(clusterSettingsSchema.safeParse({ ...minimal, apiAccess: ["0.0.0.0/0"] }).success).toBe(false);
  });

  test("no statement of IAM has a wildcard", () => {
    const documents = of("aws:iam/role:Role").map((role) => JSON.parse(String(role.inputs.assumeRolePolicy)));
    expect(documents.length).toBe(3);
    expect(JSON.stringify(documents)).not.toContain("*");
    const attached = inputs("aws:iam/rolePolicyAttachment:RolePolicyAttachment").map(({ policyArn }) => policyArn);
    expect(attached.filter((arn) => /Admin|FullAccess|PowerUser/.test(String(arn)))).toEqual([]);
    expect(of("aws:iam/rolePolicy:RolePolicy")).toEqual([]);
  });

  test("every disk is encrypted and goes with its owner", () => {
    for (const template of inputs("aws:ec2/launchTemplate:LaunchTemplate")) {
      expect(template.blockDeviceMappings).toMatchObject([{ ebs: { encrypted: "true", deleteOnTermination: "true" } }]);
      expect(template.metadataOptions).toMatchObject({ httpTokens: "required", httpPutResponseHopLimit: 1 });
    }
    expect(inputs("kubernetes:storage.k8s.io/v1:StorageClass")).toMatchObject([
      { parameters: { encrypted: "true" }, reclaimPolicy: "Delete", metadata: { name: "gp3" } },
    ]);
    for (const repository of inputs("aws:ecr/repository:Repository")) {
      expect(repository).toMatchObject({ imageTagMutability: "IMMUTABLE", forceDelete: true });
    }
  });

  test("owner and time to live are on everything AWS and the volume driver make", () => {
    const [provider] = inputs("pulumi:providers:aws");
    const tags = { "orrery.dev/owner": "networks", "orrery.dev/ttl": "8h" };
    expect(JSON.parse(String(provider?.defaultTags))).toMatchObject({ tags });
    for (const template of inputs("aws:ec2/launchTemplate:LaunchTemplate")) {
      const specifications = template.tagSpecifications as { readonly resourceType: string; readonly tags: object }[];
      expect(specifications.map(({ resourceType }) => resourceType)).toEqual([
        "instance",
        "volume",
        "network-interface",
      ]);
      for (const one of specifications) expect(one.tags).toMatchObject(tags);
    }
    const [storage] = inputs("kubernetes:storage.k8s.io/v1:StorageClass");
    expect(Object.values(storage?.parameters as object)).toEqual(
      expect.arrayContaining(["orrery.dev/owner=networks", "orrery.dev/ttl=8h"]),
    );
  });
});

describe("settings", () => {
  test.each([
    ["no owner", { owner: undefined }],
    ["no time to live", { ttl: undefined }],
    ["one zone", { zones: ["a"] }],
    ["mixed architectures", { instanceTypes: ["m7i.large", "m7g.large"] }],
    ["an unknown key", { nodeCount: 3 }],
  ])("%s is refused", (_, changes) => {
    expect(clusterSettingsSchema.safeParse({ ...minimal, ...changes }).success).toBe(false);
  });
});

describe("the estimate", () => {
  test("is the sum of its lines by the table", () => {
    const lines = estimate({ ...settings, instanceTypes: ["m7i.xlarge"], nodes: 3, disk: 73 });
    expect(lines.map((line) => line.perHour)).toEqual([
      0.1,
      0.045,
      3 * 0.2016,
      expect.closeTo((3 * 73 * 0.08) / 730, 9),
    ]);
    expect(describeCost({ ...settings, nodes: 3, disk: 73 })).toMatch(
      /^estimate: \$0\.77 an hour .*us-east-1, 2025-06/,
    );
  });

  test("for one stack has as many nodes as its pods need, and its volumes", () => {
    const pods = (count: number, cpu: number) =>
      Array.from({ length: count }, () => ({ workload: "Job x", cpu, memory: 2 ** 30, volumes: [], containers: [] }));
    const perHour = (nodes: number) => estimate({ ...settings, instanceTypes: ["m7i.xlarge"], nodes, disk: 50 });
    const sum = (nodes: number) => perHour(nodes).reduce((all, line) => all + (line.perHour ?? 0), 0);
    expect(stackCost({ pods: [], storage: 0 })).toBeCloseTo(sum(3), 9);
    expect(stackCost({ pods: pods(8, 2), storage: 0 })).toBeCloseTo(sum(8), 9); // one of 2 cores on each of 3.7
    expect(stackCost({ pods: pods(4, 64), storage: 0 })).toBeCloseTo(sum(4), 9);
    expect(stackCost({ pods: [], storage: 730 * 2 ** 30 }) - sum(3)).toBeCloseTo(0.08, 9);
  });

  test("says which price it does not know", () => {
    expect(describeCost({ ...settings, instanceTypes: ["x2idn.16xlarge"] })).toMatch(/without 3 nodes x2idn\.16xlarge/);
  });
});
