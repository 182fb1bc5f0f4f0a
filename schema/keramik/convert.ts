import type { Problem } from "../errors.ts";
import type { Path } from "../issues.ts";
import { type CeramicScenario, type CeramicScenarioName, ceramicScenarios } from "../systems/ceramic-workload.ts";
import type { KeramikGroup, KeramikNetwork } from "./network.ts";
import type { KeramikSimulation } from "./simulation.ts";

/** Keramik's resources as an experiment, as a user would write it. */
export interface Converted {
  readonly written: Readonly<Record<string, unknown>>;
  /** Places of Keramik's fields that mean nothing here, or something else. */
  readonly remarks: readonly Remark[];
  /** What no single field shows to be wrong. */
  readonly problems: readonly Remark[];
}

export interface Remark extends Problem {
  readonly document: "network" | "simulation";
  readonly segments: Path;
}

type Fields = Readonly<Record<string, unknown>>;

/** Peers act for this long before they are judged; Keramik starts its users over as long. */
const warmup = "10s";
/** A request that takes longer has failed. */
const timeout = "30s";
/** A write has to show at every peer within this. */
const replicationDeadline = "30s";

/**
 * An experiment of the system `ceramic` from Keramik's Network and, where there is one, Simulation.
 *
 * The experiment has the Network's name, so that several Simulations run on one deployed network. `users` are per peer
 * where the run time is spelled `runTime`, and of all peers together where it is spelled `run_time`, as they were then.
 */
export function convertKeramik(network: KeramikNetwork, simulation: KeramikSimulation | undefined): Converted {
  const { replicas } = network.spec;
  const load = simulation === undefined ? standIn() : loadOf(simulation, replicas);
  const observe = { ...load.observe, ...watchingOf(network.spec) };
  return {
    written: {
      schema: "orrery/v1",
      name: network.metadata.name,
      network: networkOf(network.spec),
      ...load.sections,
      ...(Object.keys(observe).length === 0 ? {} : { observe }),
    },
    remarks: [
      ...networkRemarks(network.spec),
      ...(simulation === undefined ? [noSimulation] : simulationRemarks(simulation.spec)),
    ],
    problems: [
      ...ttlProblems(network.spec),
      ...load.problems,
      ...(simulation === undefined ? [] : fitProblems(network, simulation)),
    ],
  };
}

/** Leaves out what is undefined. */
function given(fields: Fields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function networkOf(spec: KeramikNetwork["spec"]): Fields {
  const { bootstrap, ceramic } = spec;
  const groups = ceramic === undefined ? undefined : [ceramic].flat();
  const ownAnchors = spec.networkType === "local";
  const external = (url: string | undefined, own: string) =>
    url === "" || (ownAnchors && url === own) ? undefined : url;
  return given({
    system: "ceramic",
    replicas: spec.replicas,
    networkType: spec.networkType,
    groups: groups?.length ? groups.map(groupOf) : undefined,
    bootstrap:
      bootstrap === undefined
        ? undefined
        : given({
            enabled: bootstrap.enabled,
            method: bootstrap.method,
            n: bootstrap.n,
            image: bootstrap.image,
            imagePullPolicy: bootstrap.imagePullPolicy,
          }),
    privateKeySecret: spec.privateKeySecret === undefined ? undefined : `keramik/${spec.privateKeySecret}`,
    casApiUrl: external(spec.casApiUrl, "http://cas:8081"),
    ethRpcUrl: external(spec.ethRpcUrl, "http://ganache:8545"),
    devMode: spec.devMode,
    debugMode: spec.debugMode,
    nodeSelectorTerms: spec.nodeSelectorTerms,
  });
}

function groupOf(group: KeramikGroup): Fields {
  const { postgresResourceLimits, postgresStorage } = group;
  const postgres = postgresResourceLimits !== undefined || postgresStorage !== undefined;
  return given({
    weight: group.weight,
    image: group.image,
    imagePullPolicy: group.imagePullPolicy,
    ...roomOf(group),
    env: group.env,
    ...(postgres
      ? { index: "postgres", postgres: roomOf({ resourceLimits: postgresResourceLimits, storage: postgresStorage }) }
      : {}),
    ipfs: group.ipfs === undefined ? undefined : ipfsOf(group.ipfs),
  });
}

function ipfsOf({ kind, rust, go, ...beside }: NonNullable<KeramikGroup["ipfs"]>): Fields {
  const fields = rust ?? go ?? beside;
  return given({
    kind: kind ?? (rust === undefined ? "go" : "rust"),
    image: fields.image,
    imagePullPolicy: fields.imagePullPolicy,
    ...roomOf(fields),
    env: rust?.env,
    rustLog: rust?.rustLog,
    migrationCommand: rust?.migrationCmd,
    commands: go?.commands,
  });
}

interface Room {
  readonly resourceLimits?: KeramikGroup["resourceLimits"];
  readonly storage?: KeramikGroup["storage"];
  readonly storageClass?: string | undefined;
}

function roomOf({ resourceLimits, storage, storageClass }: Room): Fields {
  const cpu = resourceLimits?.cpu === undefined ? undefined : String(resourceLimits.cpu);
  return given({
    resources:
      resourceLimits === undefined
        ? undefined
        : given({
            cpu,
            cpuLimit: cpu,
            memory: bytesOf(resourceLimits.memory),
            ephemeralStorage: bytesOf(resourceLimits.storage),
          }),
    storage: bytesOf(storage?.size),
    storageClass: storage?.class ?? storageClass,
  });
}

/** A quantity without a unit is bytes. */
function bytesOf(quantity: string | number | undefined): string | undefined {
  return quantity === undefined ? undefined : /^[\d.]+$/.test(String(quantity)) ? `${quantity}B` : String(quantity);
}

/** Keramik's own Prometheus, Jaeger and collector, and its runner's metrics, where a network asks for them. */
function watchingOf({ monitoring }: KeramikNetwork["spec"]): Fields {
  return monitoring?.namespaced === true ? { prometheus: true, traces: {}, goose: true } : {};
}

interface Load {
  readonly sections: Fields;
  readonly observe: Fields;
  readonly problems: readonly Remark[];
}

/** What a Network alone is run with. */
function standIn(): Load {
  const { operations, parameters } = ceramicScenarios["ceramic-simple"];
  return {
    sections: {
      workload: {
        operations,
        arrival: { users: 1 },
        phases: { warmup, measure: "60s" },
        timeout,
        parameters: { ...parameters, authors: 1 },
      },
    },
    observe: { replication: { deadline: replicationDeadline } },
    problems: [],
  };
}

function loadOf({ spec }: KeramikSimulation, peers: number): Load {
  const scenario: CeramicScenario = ceramicScenarios[spec.scenario as CeramicScenarioName];
  const workers = scenario.lead === true ? 1 : Math.min(peers, 64);
  const users = spec.runTime === undefined ? spec.users / peers : spec.users;
  const rate = spec.successRequestTarget ?? scenario.target;
  const judged = scenario.target !== undefined && rate !== undefined && rate > 0;
  const { throttleRequests, anchorWaitTime } = spec;
  return {
    sections: {
      workload: {
        operations: scenario.operations,
        arrival:
          throttleRequests === undefined
            ? { users: Math.floor(users) * workers }
            : { rate: `${throttleRequests * workers}/s` },
        phases: { warmup, measure: `${spec.runTime ?? spec.run_time}m`, cooldown: "5s" },
        workers,
        timeout,
        parameters: {
          ...scenario.parameters,
          authors: Math.max(1, Math.floor(users)),
          ...(looksAtAnchors(spec) && anchorWaitTime !== undefined ? { anchors: { wait: anchorWaitTime } } : {}),
        },
      },
      objectives: [
        ...(judged ? [{ metric: "member_rate", min: `${rate}/s` }] : []),
        ...(looksAtAnchors(spec) ? [{ metric: "bad_anchors", max: 0 }] : []),
      ],
    },
    observe: hasFeed(scenario) ? { replication: { deadline: replicationDeadline } } : {},
    problems: spec.runTime === undefined && !Number.isInteger(users) ? [unevenUsers(spec.users, peers)] : [],
  };
}

const looksAtAnchors = (spec: KeramikSimulation["spec"]): boolean => spec.scenario === "ceramic-anchoring-benchmark";

/** js-ceramic tells of documents; what goes to IPFS alone, nobody tells of. */
const hasFeed = ({ operations }: CeramicScenario): boolean =>
  operations.create !== undefined || operations.update !== undefined;

function unevenUsers(users: number, peers: number): Remark {
  return {
    document: "simulation",
    segments: ["spec", "users"],
    path: "spec.users",
    rule: `${users} users do not divide among ${peers} peers.`,
    fix: `Write a multiple of ${peers}; or runTime instead of run_time, with which users are those of each peer.`,
  };
}

/** Whether the Simulation can run on the Network. */
function fitProblems({ metadata, spec: network }: KeramikNetwork, simulation: KeramikSimulation): Remark[] {
  const problem = (path: string, rule: string, fix: string): Remark => ({
    document: "simulation",
    segments: path.split("."),
    path,
    rule,
    fix,
  });
  const { namespace } = simulation.metadata;
  const { scenario, anchorWaitTime } = simulation.spec;
  const kinds = new Set([network.ceramic ?? {}].flat().map(({ ipfs }) => ipfs?.kind ?? (ipfs?.rust ? "rust" : "go")));
  const problems: Remark[] = [];
  if (namespace !== undefined && namespace !== `keramik-${metadata.name}`) {
    problems.push(
      problem(
        "metadata.namespace",
        `"${namespace}" is not the namespace of the network ${metadata.name}.`,
        `Write keramik-${metadata.name}.`,
      ),
    );
  }
  if (scenario === "recon-event-sync" && !kinds.has("rust")) {
    problems.push(
      problem("spec.scenario", "recon-event-sync needs ceramic-one, and the peers run kubo.", "Set ipfs to rust."),
    );
  }
  if (scenario === "ceramic-anchoring-benchmark" && anchorWaitTime === undefined) {
    problems.push(
      problem("spec.anchorWaitTime", "it is missing, and the scenario waits for anchors.", "Write it, in seconds."),
    );
  }
  if (scenario === "ceramic-anchoring-benchmark" && (network.networkType ?? "inmemory") === "inmemory") {
    problems.push(problem("spec.scenario", "an inmemory network has no anchors.", "Set networkType to local."));
  }
  return problems;
}

const noSimulation: Remark = {
  document: "network",
  segments: [],
  path: "",
  rule: "there is no Simulation, so a run has one user who updates and reads for a minute.",
  fix: "Add a Simulation as a further document.",
};

/** Whoever writes it counts on the network going away, and on what it costs with it. */
function ttlProblems({ ttlSeconds }: KeramikNetwork["spec"]): Remark[] {
  return ttlSeconds === undefined
    ? []
    : [
        {
          document: "network",
          segments: ["spec", "ttlSeconds"],
          path: "spec.ttlSeconds",
          rule: "nothing here deletes a network when its time is over.",
          fix: "Leave it out; `orrery run --destroy` takes the network down after its run, `orrery destroy` at any time.",
        },
      ];
}

/** Fields of a Network that mean nothing here, and why. */
const idleNetworkFields: Readonly<Record<string, string>> = {
  datadog: "there is no Datadog here; `observe` in an experiment file has what there is",
  cas: "the anchor service of a local network is a stand-in with settings of its own",
};

function networkRemarks(spec: KeramikNetwork["spec"]): Remark[] {
  const remarks = idle("network", spec, idleNetworkFields);
  const groups: readonly KeramikGroup[] = [spec.ceramic ?? []].flat();
  if (groups.some(({ initConfigMap, initImageName }) => initConfigMap !== undefined || initImageName !== undefined)) {
    remarks.push(remark("network", ["spec", "ceramic"], "peers are prepared by a program in the ceramic image"));
  }
  if (spec.monitoring?.podMonitor?.enabled === true) {
    const why = "no PodMonitors are made; `observe.prometheus` in an experiment file scrapes the peers";
    remarks.push(remark("network", ["spec", "monitoring", "podMonitor"], why));
  }
  if (spec.bootstrap?.percent !== undefined) {
    remarks.push(remark("network", ["spec", "bootstrap", "percent"], "peers are connected as soon as they are there"));
  }
  if (spec.networkType === undefined) {
    remarks.push({
      ...remark("network", ["spec"], ""),
      rule: "networkType is not written; inmemory is taken, which has no anchors.",
      fix: "Write local for an anchor service and a chain, Keramik's default.",
    });
  }
  return remarks;
}

/** Fields of a Simulation that mean nothing here, and why. */
const idleSimulationFields: Readonly<Record<string, string>> = {
  image: "drivers run the image `driver`; `--image driver=<reference>` replaces it",
  imagePullPolicy: "drivers run the image `driver`",
  devMode: "it was about Redis, which is not needed here",
  logLevel: "drivers log one way",
  casNetwork: "the anchor service is the network's",
  casController: "the anchor service is the network's",
};

function simulationRemarks(spec: KeramikSimulation["spec"]): Remark[] {
  const remarks = idle("simulation", spec, idleSimulationFields);
  const scenario: CeramicScenario = ceramicScenarios[spec.scenario as CeramicScenarioName];
  if (spec.anchorWaitTime !== undefined && !looksAtAnchors(spec)) {
    remarks.push(remark("simulation", ["spec", "anchorWaitTime"], `${spec.scenario} does not look at anchors`));
  }
  if (spec.successRequestTarget !== undefined && scenario.target === undefined) {
    remarks.push(remark("simulation", ["spec", "successRequestTarget"], `${spec.scenario} has no target to reach`));
  }
  return remarks;
}

function idle(document: Remark["document"], spec: Fields, fields: Readonly<Record<string, string>>): Remark[] {
  return Object.entries(fields)
    .filter(([name]) => spec[name] !== undefined)
    .map(([name, why]) => remark(document, ["spec", name], why));
}

function remark(document: Remark["document"], segments: readonly string[], why: string): Remark {
  return { document, segments, path: segments.join("."), rule: `it is read over: ${why}.` };
}
