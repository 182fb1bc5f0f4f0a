import { hasOwnAnchors } from "../../schema/systems/ceramic.ts";
import { selectorOf } from "../kubernetes/labels.ts";
import { addresses, allow, pods, tcp, toDns } from "../kubernetes/network-policy.ts";
import type { Scope } from "./scope.ts";
import { anchorService, anchorUrls, ports } from "./settings.ts";

/** Labels of the pod that connects the peers. */
export const bootstrapSelector = (instance: string) =>
  selectorOf({ instance, name: "bootstrap", component: "network" });

/** Labels of the pods of the anchor service and of the chain. */
export const anchorSelector = (instance: string, name: string) => selectorOf({ instance, name, component: "network" });

/** Who may talk to peers, and to whom they may. */
export function createPolicies({ name, args, plan, labels, selector, parent }: Scope): void {
  const { experiment, namespace, target, callers } = args;
  allow(
    `${name}-traffic`,
    {
      namespace: namespace.created,
      labels,
      selector,
      ingress: [
        { from: [pods(selector)], ports: tcp(ports.swarm) },
        { from: callers.map(pods), ports: tcp(ports.api, ports.rpc, ports.ipfsMetrics) },
        { from: [pods(bootstrapSelector(experiment.name))], ports: tcp(ports.rpc) },
        { from: [addresses(target.apiServerCidr)], ports: tcp(ports.api, ports.rpc) }, // service proxy, probes
      ],
      egress: [toDns, { to: [pods(selector)], ports: tcp(ports.swarm) }, ...toAnchors(args)],
    },
    { parent },
  );
  if (plan.bootstrap === undefined) return;
  allow(
    `${name}-bootstrap-traffic`,
    {
      namespace: namespace.created,
      labels,
      selector: bootstrapSelector(experiment.name),
      ingress: [],
      egress: [toDns, { to: [pods(selector)], ports: tcp(ports.rpc) }],
    },
    { parent },
  );
}

/** The network's own anchor service and chain, or those it is told of, by port: policies know no names. */
function toAnchors({ experiment }: Scope["args"]) {
  const { name, network } = experiment;
  if (hasOwnAnchors(network)) {
    return [
      { to: [pods(anchorSelector(name, anchorService.cas))], ports: tcp(anchorService.casPort) },
      { to: [pods(anchorSelector(name, anchorService.chain))], ports: tcp(anchorService.chainPort) },
    ];
  }
  const urls = Object.values(anchorUrls(network)).map((url) => new URL(url));
  return urls.map((url) => ({ ports: tcp(Number(url.port) || (url.protocol === "https:" ? 443 : 80)) }));
}
