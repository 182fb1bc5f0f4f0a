import { z } from "zod";
import { EnvironmentError } from "../schema/errors.ts";
import { type ExternalTool, lastWords, runTool } from "./external-tool.ts";

const docker: ExternalTool = { program: "docker", website: "https://docs.docker.com/engine/install" };

/** What a Docker engine has to give. */
export interface DockerEngine {
  readonly version: string;
  readonly cpus: number;
  /** Bytes. */
  readonly memory: number;
}

const infoSchema = z.object({
  ServerVersion: z.string().default(""),
  NCPU: z.number().default(0),
  MemTotal: z.number().default(0),
  ServerErrors: z.array(z.string()).nullish(),
});

/**
 * The Docker engine of this machine.
 *
 * @throws EnvironmentError when the command is missing or no engine answers it
 */
export async function dockerEngine(signal?: AbortSignal): Promise<DockerEngine> {
  const result = await runTool(docker, ["info", "--format", "{{json .}}"], { signal, timeoutMs: 30_000 });
  const parsed = infoSchema.safeParse(json(result.stdout));
  const problem = parsed.success ? parsed.data.ServerErrors?.[0] : undefined;
  // `docker info` prints what it knows of the client, and ends with 1 only in newer versions, when no engine answers.
  if (!parsed.success || result.code !== 0 || problem !== undefined || parsed.data.ServerVersion === "") {
    throw new EnvironmentError(
      `Docker does not answer: ${problem ?? lastWords(result, 1)}`,
      "Start it (systemctl start docker, or Docker Desktop), and see that you may use it: docker info",
    );
  }
  return { version: parsed.data.ServerVersion, cpus: parsed.data.NCPU, memory: parsed.data.MemTotal };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // an error in plain text: the caller shows it
  }
}
