import { resolve } from "node:path";
import type { KubeConfig } from "@kubernetes/client-node";
import { Argument, type Command } from "commander";
import { partNames, ports } from "../../components/observability/names.ts";
import { racecourseName, racecoursePort } from "../../components/quorum/racecourse-names.ts";
import { EnvironmentError, InputError } from "../../schema/errors.ts";
import { openInBrowser } from "../browser.ts";
import { coreApi, kubeConfigOf } from "../cluster-client.ts";
import { forwardPort, type PodPort } from "../forward.ts";
import { ingressAddress } from "../ingress-address.ts";
import { judge } from "../run.ts";
import { findRun } from "../run-folders.ts";
import { type CommonOptions, type Session, targetCommand } from "../session.ts";
import { chooseTarget, existingConnection } from "../targets.ts";

interface OpenOptions extends CommonOptions {
  readonly results: string;
  readonly port: string;
  readonly browser: boolean;
}

const pages = ["prometheus", "jaeger", "grafana", "racecourse"] as const;
type Page = (typeof pages)[number];

const nameOf = (page: Page): string => (page === "racecourse" ? racecourseName : partNames[page]);

/** `orrery open <page> [experiment]`: a page of an experiment or of what watches it, or a run's report. */
export function openCommand(start: (options: OpenOptions) => Session): Command {
  return targetCommand("open")
    .description(
      "open a page of a deployed experiment, Prometheus, Jaeger, Grafana or the racecourse, or the report of a run",
    )
    .addArgument(new Argument("<page>", "what to open").choices([...pages, "report"]))
    .argument("[experiment]", "name of the experiment; needed when several are deployed. For report: experiment/run-id")
    .option("-o, --results <folder>", "folder of results, for report", "results")
    .option("-p, --port <number>", "port of this machine to serve the page on", "0")
    .option("--no-browser", "only print the address")
    .action(async (page: Page | "report", experiment: string | undefined, options: OpenOptions) => {
      const session = start(options);
      await (page === "report"
        ? openReport(experiment, options, session)
        : openPage(page, experiment, options, session));
    });
}

async function openReport(run: string | undefined, options: OpenOptions, { console }: Session): Promise<void> {
  if (run === undefined) {
    throw new InputError([
      { path: "report", rule: "which run is not said.", fix: "Write `orrery open report <experiment>[/<run-id>]`." },
    ]);
  }
  const { reports } = await judge(await findRun(resolve(options.results), run));
  console.result(reports.html, { report: reports.html });
  if (options.browser) openInBrowser(reports.html, console);
}

/** Opens a page where an Ingress serves it, or serves it until the command is interrupted. */
async function openPage(
  page: Page,
  experiment: string | undefined,
  options: OpenOptions,
  { console, signals }: Session,
): Promise<void> {
  const config = kubeConfigOf(await existingConnection((await chooseTarget(options)).config));
  const namespace = await namespaceWith(config, page, experiment);
  const served = page === "racecourse" ? await ingressAddress(config, namespace, racecourseName) : undefined;
  if (served !== undefined) {
    console.result(served, { url: served, namespace });
    if (options.browser && console.terminal) openInBrowser(served, console);
    return;
  }
  const target = page === "racecourse" ? await racecoursePod(config, namespace) : partPod(page, namespace);
  const forwarding = await forwardPort(config, target, portOf(options), (reason) =>
    console.warn(`a connection to ${target.pod} broke off: ${reason}`),
  );
  try {
    const address = page === "jaeger" ? await jaegerAddress(forwarding.url, console) : forwarding.url;
    console.result(address, { url: address, namespace });
    if (options.browser && console.terminal) openInBrowser(address, console);
    console.info("Ctrl-C ends it");
    await interrupted(signals.command);
  } finally {
    await forwarding.close();
  }
}

const partPod = (page: Exclude<Page, "racecourse">, namespace: string): PodPort => ({
  namespace,
  pod: `${partNames[page]}-0`,
  port: ports[page],
});

/** Any pod of the racecourse that is ready: all show the same. */
async function racecoursePod(config: KubeConfig, namespace: string): Promise<PodPort> {
  const labelSelector = `app.kubernetes.io/name=${racecourseName}`;
  const { items } = await coreApi(config).listNamespacedPod({ namespace, labelSelector });
  const ready = items.find(({ status }) =>
    status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
  );
  const pod = ready?.metadata?.name;
  if (pod !== undefined) return { namespace, pod, port: racecoursePort };
  throw new EnvironmentError(
    `No pod of the racecourse in ${namespace} is ready.`,
    `Look at \`kubectl describe pods -n ${namespace} -l ${labelSelector}\`.`,
  );
}

/**
 * Where a part runs, found by its labels.
 *
 * @throws InputError when it runs nowhere, or in several namespaces and none was named
 */
async function namespaceWith(config: KubeConfig, page: Page, experiment: string | undefined): Promise<string> {
  const labels = { "app.kubernetes.io/part-of": "orrery", "app.kubernetes.io/name": nameOf(page) };
  const labelSelector = Object.entries({
    ...labels,
    ...(experiment === undefined ? {} : { "app.kubernetes.io/instance": experiment }),
  })
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
  const services = await coreApi(config).listServiceForAllNamespaces({ labelSelector });
  const found = services.items.flatMap(({ metadata }) => (metadata === undefined ? [] : [metadata]));
  const [only] = found;
  if (found.length === 1 && only?.namespace !== undefined) return only.namespace;
  const names = found.map(({ labels: own }) => own?.["app.kubernetes.io/instance"] ?? "");
  const whose =
    experiment === undefined ? "No experiment that is deployed" : `Experiment "${experiment}" is not deployed, or`;
  throw new InputError([
    found.length === 0
      ? {
          path: page,
          rule: `${whose} has no ${page}.`,
          fix: `Set ${settingOf(page)} in its file and deploy it with \`orrery up\`.`,
        }
      : { path: page, rule: `several experiments have ${page}.`, fix: `Add the name of one: ${names.join(", ")}.` },
  ]);
}

/** What in an experiment's file asks for a page. */
function settingOf(page: Page): string {
  if (page === "racecourse") return "network.racecourse";
  return `observe.${page === "jaeger" ? "traces" : page}`;
}

function portOf({ port }: OpenOptions): number {
  const number = Number(port);
  if (Number.isInteger(number) && number >= 0 && number <= 65_535) return number;
  throw new InputError([{ path: "--port", rule: `${port} is no port.`, fix: "Write a number from 0 (any) to 65535." }]);
}

/** Jaeger's address: its page or, where the program was built without one, what can be asked. */
async function jaegerAddress(url: string, console: Session["console"]): Promise<string> {
  const page = await (await fetch(`${url}/`)).text();
  if (!page.includes("placeholder for the Jaeger UI")) return url;
  console.info("this Jaeger was built from its Go module, which comes without pages; its query API answers, and the");
  console.info("traces of a run are kept in its folder as traces.json");
  return `${url}/api/traces?service=orrery-driver&limit=20`;
}

async function interrupted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
