import { type ExecOptions, type ExecResult, exec } from "../local/toolchain/exec.ts";
import { EnvironmentError } from "../schema/errors.ts";

/** What Docker Engine says of itself. */
export interface DockerInfo {
  readonly version: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly root: string;
}

const start = "Start Docker (systemctl start docker, or Docker Desktop) and see that `docker info` answers.";

/**
 * Docker Engine, asked for what kind needs.
 *
 * @throws EnvironmentError when there is no docker command, no engine behind it, or no right to talk to it
 */
export async function dockerInfo(options: ExecOptions = {}): Promise<DockerInfo> {
  const result = await docker(["info", "--format", "{{json .}}"], options);
  const answer = result.code === 0 ? parse(result.stdout) : undefined;
  const problem = answer?.ServerErrors?.join(" ") || (answer?.ServerVersion ? "" : lastLine(result));
  if (answer === undefined || problem !== "") throw engineProblem(problem);
  return {
    version: answer.ServerVersion ?? "",
    cpus: answer.NCPU ?? 0,
    memoryBytes: answer.MemTotal ?? 0,
    root: answer.DockerRootDir ?? "",
  };
}

/** Whether the engine has an image. */
export async function hasImage(reference: string, options: ExecOptions = {}): Promise<boolean> {
  return (await docker(["image", "inspect", "--format", "{{.Id}}", reference], options)).code === 0;
}

/** @returns why the image could not be pulled, undefined when it is there now */
export async function pullImage(reference: string, options: ExecOptions = {}): Promise<string | undefined> {
  const result = await docker(["pull", "--quiet", reference], options);
  return result.code === 0 ? undefined : lastLine(result);
}

/** Puts an image archive into the engine. */
export async function loadArchive(archive: string, options: ExecOptions = {}): Promise<void> {
  const result = await docker(["load", "--quiet", "--input", archive], options);
  if (result.code !== 0) throw explainDocker(`Docker cannot load ${archive}`, lastLine(result));
}

/** State of each node of a kind cluster by the node's name, e.g. `running` or `exited`. */
export async function nodeStates(cluster: string, options: ExecOptions = {}): Promise<Map<string, string>> {
  const filter = `label=io.x-k8s.kind.cluster=${cluster}`;
  const result = await docker(["ps", "--all", "--filter", filter, "--format", "{{.Names}} {{.State}}"], options);
  if (result.code !== 0) throw engineProblem(lastLine(result));
  const lines = result.stdout.split("\n").filter((line) => line !== "");
  return new Map(lines.map((line) => line.split(" ", 2) as [string, string]));
}

/** References of the images in a node. */
export async function nodeImages(node: string, options: ExecOptions = {}): Promise<Set<string>> {
  const args = ["exec", "--privileged", node, "ctr", "--namespace", "k8s.io", "images", "list", "--quiet"];
  const result = await docker(args, options);
  if (result.code !== 0) throw explainDocker(`The images of node ${node} cannot be listed`, lastLine(result));
  return new Set(result.stdout.split("\n").filter((line) => line !== ""));
}

/** What Docker says when it cannot do something, in one error that says what to do. */
export function explainDocker(what: string, message: string): EnvironmentError {
  if (/no space left on device/i.test(message)) {
    return new EnvironmentError(
      `${what}: the disk of Docker is full (${message}).`,
      "Free some space: docker system df shows what is used, docker system prune removes what nothing uses.",
    );
  }
  const port = /(?:bind|listen)[^:]*?(?: for)? ?(\S*:\d+)?.*(?:address already in use|port is already allocated)/i.exec(
    message,
  );
  if (port !== null) {
    return new EnvironmentError(
      `${what}: a port is taken${port[1] === undefined ? "" : ` (${port[1]})`}: ${message}.`,
      "Stop what listens there, or name another: --target-option http-port=<port>, https-port=<port>.",
    );
  }
  return new EnvironmentError(`${what}: ${message}.`, "Check `docker info` and `docker ps --all`.");
}

async function docker(args: readonly string[], options: ExecOptions): Promise<ExecResult> {
  return await exec("docker", args, options).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    throw new EnvironmentError(
      "Target kind needs Docker; there is no docker on PATH.",
      "Install Docker Engine (https://docs.docker.com/engine/install), or use another target: --target local.",
      { cause: error },
    );
  });
}

function engineProblem(message: string): EnvironmentError {
  if (/permission denied/i.test(message)) {
    return new EnvironmentError(
      `Docker refuses this user: ${message}.`,
      "Add the user to the group docker (usermod -aG docker <user>, then log in again), or run as root.",
    );
  }
  return new EnvironmentError(`Docker does not answer: ${message || "docker info says nothing"}.`, start);
}

interface InfoAnswer {
  readonly ServerVersion?: string;
  readonly NCPU?: number;
  readonly MemTotal?: number;
  readonly DockerRootDir?: string;
  readonly ServerErrors?: readonly string[];
}

function parse(text: string): InfoAnswer | undefined {
  try {
    return JSON.parse(text) as InfoAnswer;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function lastLine({ stdout, stderr }: ExecResult): string {
  const lines = `${stdout}\n${stderr}`.split("\n").filter((line) => line.trim() !== "");
  return (lines.at(-1) ?? "no message").trim().replace(/\.$/, "");
}
