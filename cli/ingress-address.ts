import { type KubeConfig, NetworkingV1Api } from "@kubernetes/client-node";

/**
 * Where an Ingress is served, as far as this machine can see: its host, or the address its controller gave it, asked
 * once whether it answers.
 *
 * @returns Undefined when there is none, when no controller took it, or when its address leads nowhere from here
 */
export async function ingressAddress(config: KubeConfig, namespace: string, name: string): Promise<string | undefined> {
  const { items } = await config.makeApiClient(NetworkingV1Api).listNamespacedIngress({
    namespace,
    fieldSelector: `metadata.name=${name}`,
  });
  const [ingress] = items;
  const [given] = ingress?.status?.loadBalancer?.ingress ?? [];
  const host = ingress?.spec?.rules?.[0]?.host ?? given?.ip ?? given?.hostname;
  if (given === undefined || host === undefined) return undefined;
  const url = `${ingress?.spec?.tls === undefined ? "http" : "https"}://${host}/`;
  return (await answers(url)) ? url : undefined;
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(5_000) })).ok;
  } catch {
    return false; // no such name, no route, a certificate of an authority that is not known here
  }
}
