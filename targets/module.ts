import type { ClusterTarget, TargetConnection } from "../components/cluster-target.ts";
import type { BuiltImage } from "../images/build.ts";
import type { Check } from "../local/toolchain/doctor.ts";
import type { Progress } from "../local/toolchain/progress.ts";
import type { Problem } from "../schema/errors.ts";
import type { Experiment } from "../schema/experiment.ts";
import type { PodNeed } from "./capacity.ts";

/** What leads the program and the commands to one cluster; kept in the stack's configuration. */
export interface TargetSettings {
  /** Kubeconfig context; absent where the target has one of its own. */
  readonly context?: string;
  /** References to run instead of images built here, by name of images/table.ts. */
  readonly images: Readonly<Record<string, string>>;
  /** Settings only this target knows, e.g. `cpus` of minikube; as they were written. */
  readonly options: Readonly<Record<string, string>>;
}

/** What is known of a target's clusters before there is one: everything but the connection and the images. */
export type TargetTraits = Omit<ClusterTarget, "provider" | "images">;

/** What a stack asks for when everything in it runs. */
export interface Asked {
  readonly pods: readonly PodNeed[];
  /** Bytes of volumes. */
  readonly storage: number;
}

/** A target as the Pulumi program sees it: `<target>/target.ts`. Builds and changes nothing, so that previews are fast. */
export interface TargetProgram {
  readonly traits: TargetTraits;
  /** US dollars an hour of a cluster for this stack alone, by a price table; absent where none is paid by the hour. */
  readonly costPerHour?: (asked: Asked) => number;
  /**
   * The cluster the settings lead to, as a place to deploy.
   *
   * @param images Names of the images that will be asked for
   * @throws EnvironmentError with the command to run when it is not there
   */
  readonly create: (settings: TargetSettings, images: readonly string[]) => Promise<ClusterTarget>;
}

/** What is to be deployed. */
export interface Deployment {
  readonly experiment: Experiment;
  /** Names of the images it needs. */
  readonly images: readonly string[];
  /** It has pages for people, reached through an Ingress. */
  readonly hasPages: boolean;
}

/** What to do while something is prepared. */
export interface Preparing {
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** A cluster that answers and has the images of the experiment, or can pull them. */
export interface ReadyCluster {
  readonly connection: TargetConnection;
  readonly networkPolicyEnforced: boolean;
  /** Versions of what took part, for the results. */
  readonly versions: Readonly<Record<string, string>>;
  /** What the user should know when a command has ended, e.g. how to stop a cluster that goes on. */
  readonly afterwards?: string;
}

/** A target as the command line sees it: `<target>/connection.ts`, with the checks of `<target>/doctor.ts`. */
export interface TargetModule {
  /** What is wrong with settings, without a look at machine or cluster. */
  readonly problems: (settings: TargetSettings) => readonly Problem[];
  /** Settings completed with what the stack's configuration must say, e.g. the context of a profile. */
  readonly complete: (settings: TargetSettings) => TargetSettings;
  /**
   * The cluster as it is now; undefined when there is none or it does not run. Changes nothing.
   *
   * @throws EnvironmentError when it cannot even be looked for
   */
  readonly find: (settings: TargetSettings) => Promise<TargetConnection | undefined>;
  /**
   * Brings up whatever is needed for `pulumi up` to start: tools, cluster, images, ingress, storage. Harmless when all
   * is there; what a failed attempt has made is taken away again.
   *
   * @throws EnvironmentError saying what is missing and what to do
   */
  readonly prepare: (settings: TargetSettings, deployment: Deployment, preparing: Preparing) => Promise<ReadyCluster>;
  /**
   * Builds images on this machine and brings them to the nodes of a cluster that runs. Changes nothing else.
   *
   * @param names Names of images/table.ts
   * @throws EnvironmentError when no cluster runs, an image cannot be brought, or nodes pull from a registry
   */
  readonly load: (
    settings: TargetSettings,
    names: readonly string[],
    preparing: Preparing,
  ) => Promise<readonly BuiltImage[]>;
  /** What machine, tools and credentials have and lack for this target; changes nothing. */
  readonly preflight: (settings: TargetSettings) => Promise<readonly Check[]>;
}
