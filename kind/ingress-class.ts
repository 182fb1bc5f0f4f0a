/** IngressClass of a kind cluster that has pages to serve. */
export const ingressClass = "caddy";
/** What the ingress controller calls itself, in local/toolchain/cmd/ingress-controller. */
export const controllerName = "orrery.dev/ingress";
