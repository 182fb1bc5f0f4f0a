import { Eip } from "@pulumi/aws/ec2/eip.js";
import { InternetGateway } from "@pulumi/aws/ec2/internetGateway.js";
import { NatGateway } from "@pulumi/aws/ec2/natGateway.js";
import { Route } from "@pulumi/aws/ec2/route.js";
import { RouteTable } from "@pulumi/aws/ec2/routeTable.js";
import { RouteTableAssociation } from "@pulumi/aws/ec2/routeTableAssociation.js";
import { Subnet } from "@pulumi/aws/ec2/subnet.js";
import { Vpc } from "@pulumi/aws/ec2/vpc.js";
import * as pulumi from "@pulumi/pulumi";
import type { ClusterSettings } from "./settings.ts";

const anywhere = "0.0.0.0/0";

/**
 * The network of a cluster: nodes in private subnets without public addresses, reaching out through one NAT gateway.
 *
 * It creates: a VPC, a private and a public subnet per zone, an internet gateway, a NAT gateway with its address, and two
 * route tables. Cost: the NAT gateway. One of it, not one per zone: a zone that fails ends an experiment anyway.
 *
 * ```ts
 * const network = new EksNetwork("network", settings, {provider: aws});
 * ```
 */
export class EksNetwork extends pulumi.ComponentResource {
  readonly privateSubnets: readonly pulumi.Output<string>[];
  /** What a node needs before it can reach anything. */
  readonly ready: readonly pulumi.Resource[];

  constructor(name: string, settings: ClusterSettings, opts?: pulumi.ComponentResourceOptions) {
    super("orrery:eks:EksNetwork", name, {}, opts);
    const child = { parent: this };
    const vpc = new Vpc(`${name}-vpc`, { cidrBlock: "10.0.0.0/16", enableDnsHostnames: true }, child);
    const gateway = new InternetGateway(`${name}-gateway`, { vpcId: vpc.id }, child);
    const subnet = (kind: "public" | "private", index: number) =>
      new Subnet(
        `${name}-${kind}-${settings.zones[index]}`,
        {
          vpcId: vpc.id,
          availabilityZone: `${settings.region}${settings.zones[index]}`,
          cidrBlock: kind === "public" ? `10.0.${index}.0/24` : `10.0.${64 + index * 32}.0/19`,
          mapPublicIpOnLaunch: false,
          tags: { [kind === "public" ? "kubernetes.io/role/elb" : "kubernetes.io/role/internal-elb"]: "1" },
        },
        child,
      );
    const publicSubnets = settings.zones.map((_, index) => subnet("public", index));
    const privateSubnets = settings.zones.map((_, index) => subnet("private", index));
    const address = new Eip(`${name}-nat-address`, { domain: "vpc" }, { ...child, dependsOn: gateway });
    const [first] = publicSubnets;
    if (first === undefined) throw new Error("EksNetwork: no zones");
    const nat = new NatGateway(`${name}-nat`, { subnetId: first.id, allocationId: address.allocationId }, child);

    const routes = [
      ...this.#route(`${name}-public`, vpc, publicSubnets, { gatewayId: gateway.id }),
      ...this.#route(`${name}-private`, vpc, privateSubnets, { natGatewayId: nat.id }),
    ];
    this.privateSubnets = privateSubnets.map((one) => one.id);
    this.ready = routes;
    this.registerOutputs({ privateSubnets: this.privateSubnets });
  }

  #route(
    name: string,
    vpc: Vpc,
    subnets: readonly Subnet[],
    via: { readonly gatewayId: pulumi.Output<string> } | { readonly natGatewayId: pulumi.Output<string> },
  ): pulumi.Resource[] {
    const child = { parent: this };
    const table = new RouteTable(`${name}-routes`, { vpcId: vpc.id }, child);
    const route = new Route(`${name}-route`, { routeTableId: table.id, destinationCidrBlock: anywhere, ...via }, child);
    const associations = subnets.map(
      (subnet, index) =>
        new RouteTableAssociation(`${name}-routes-${index}`, { routeTableId: table.id, subnetId: subnet.id }, child),
    );
    return [route, ...associations];
  }
}
