import { mkdir, stat, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { Command } from "commander";
import { buildImages, imageReferences, toolsIn } from "../../images/build.ts";
import { writeContexts } from "../../images/contexts.ts";
import { pushImages, type Registry, verifyImages } from "../../images/registry.ts";
import { softwareBill } from "../../images/sbom.ts";
import { type ImageName, type ImageSpec, images, isImageName } from "../../images/table.ts";
import { OrreryHome } from "../../local/toolchain/home.ts";
import { imageTools, resolveTools, type Tools } from "../../local/toolchain/toolchain.ts";
import { EnvironmentError, exitCodes, InputError } from "../../schema/errors.ts";
import { formatBytes } from "../../schema/units.ts";
import { type CommonOptions, type Session, targetCommand } from "../session.ts";
import { projectFolder } from "../stack.ts";
import { chooseTarget } from "../targets.ts";

interface RegistryFlags extends CommonOptions {
  readonly insecure?: boolean;
}

type Start = (options: CommonOptions) => Session;

/** `orrery images ls|build|load|sbom|context|push|verify`: what runs in a cluster. */
export function imagesCommand(start: Start): Command {
  return new Command("images")
    .description("the images of this project: tags are hashes of what goes in, so the same tag is the same content")
    .addCommand(listCommand(start))
    .addCommand(buildCommand(start))
    .addCommand(loadCommand(start))
    .addCommand(billCommand(start))
    .addCommand(contextCommand(start))
    .addCommand(pushCommand(start))
    .addCommand(verifyCommand(start));
}

function listCommand(start: Start): Command {
  return verb("ls", "list them, with what stands in their place where images can be pulled").action(
    async (options: CommonOptions) => {
      const session = start(options);
      const home = OrreryHome.fromEnvironment();
      const rows = await Promise.all(
        Object.entries<ImageSpec>(images).map(async ([name, { description, upstream }]) => {
          const reference = await imageReferences(home, [name]).then(
            (references) => references.get(name),
            (error: unknown) => {
              if (error instanceof EnvironmentError) return undefined; // a program in it has not been made yet
              throw error;
            },
          );
          return { name, description, reference: reference ?? null, upstream: upstream ?? null };
        }),
      );
      const width = Math.max(...rows.map(({ name }) => name.length));
      const lines = rows.map(
        ({ name, description, reference }) => `${name.padEnd(width)}  ${reference ?? "(not made yet)"}  ${description}`,
      );
      session.console.result(lines.join("\n"), rows);
    },
  );
}

function buildCommand(start: Start): Command {
  return verb("build", "build those that are not there yet")
    .argument("[names...]", "names of images; all that pods of experiments run when none is named")
    .action(async (names: string[], options: CommonOptions) => {
      const session = start(options);
      const { built } = await build(names, session);
      const rows = await Promise.all(
        built.map(async ({ name, reference, archive }) => ({
          name,
          reference,
          archive,
          bytes: (await stat(archive)).size,
        })),
      );
      const lines = rows.map(
        ({ reference, archive, bytes }) =>
          `${reference}  ${formatBytes(Math.ceil(bytes / 2 ** 20) * 2 ** 20)}  ${relative("", archive)}`,
      );
      session.console.settle();
      session.console.result(lines.join("\n"), rows);
    });
}

function loadCommand(start: Start): Command {
  return targetCommand("load")
    .description("build them and bring them to the nodes of a cluster that runs")
    .argument("[names...]", "names of images; all that pods of experiments run when none is named")
    .action(async (names: string[], options: CommonOptions) => {
      const session = start(options);
      const { module, settings } = await chooseTarget(options);
      const loaded = await module.load(settings, knownNames(names), preparing(session));
      session.console.settle();
      session.console.result(loaded.map(({ reference }) => reference).join("\n"), loaded);
    });
}

function billCommand(start: Start): Command {
  return verb("sbom", "build them and write what is in them: a CycloneDX document for each")
    .argument("[names...]", "names of images; all that pods of experiments run when none is named")
    .option("-o, --output <folder>", "where to write <image>.cdx.json", ".")
    .action(async (names: string[], options: CommonOptions & { readonly output: string }) => {
      const session = start(options);
      const { built, home } = await build(names, session);
      await mkdir(options.output, { recursive: true });
      const context = { home, root: projectFolder, signal: session.signals.command };
      const files: string[] = [];
      for (const image of built) {
        const file = join(options.output, `${image.name}.cdx.json`);
        await writeFile(file, await softwareBill(image, context));
        files.push(file);
      }
      session.console.settle();
      session.console.result(files.join("\n"), files);
    });
}

function contextCommand(start: Start): Command {
  return verb("context", "write build contexts for Docker and BuildKit, with a Containerfile in each")
    .argument("[names...]", "names of images; all that pods of experiments run when none is named")
    .requiredOption("-o, --output <folder>", "where to write them; what lies there under their names is replaced")
    .action(async (names: string[], options: CommonOptions & { readonly output: string }) => {
      const session = start(options);
      const { wanted, tools, home } = await toolsFor(names, session);
      const list = await writeContexts(home, tools, wanted, options.output, session.signals.command);
      session.console.settle();
      session.console.result(list.map(({ name, tag }) => `${join(options.output, name)}  ${tag}`).join("\n"), list);
    });
}

function pushCommand(start: Start): Command {
  return registryVerb("push", "build them and copy them to a registry; prints what to give to --image").action(
    async (prefix: string, names: string[], options: RegistryFlags) => {
      const session = start(options);
      const { built, tools, home } = await build(names, session);
      const registry = registryOf(prefix, options);
      const pushed = await pushImages(home, tools.path("buildah"), built, registry, preparing(session));
      session.console.settle();
      session.console.result(pushed.map(({ name, reference }) => `${name}=${reference}`).join("\n"), pushed);
    },
  );
}

function verifyCommand(start: Start): Command {
  return registryVerb("verify", "tell whether a registry holds what these sources make").action(
    async (prefix: string, names: string[], options: RegistryFlags) => {
      const session = start(options);
      const { built, tools, home } = await build(names, session);
      const verified = await verifyImages(home, tools.path("buildah"), built, registryOf(prefix, options));
      session.console.settle();
      session.console.result(verified.map(({ outcome, tagged }) => `${outcome}  ${tagged}`).join("\n"), verified);
      if (verified.some(({ outcome }) => outcome !== "same")) {
        process.exitCode = exitCodes.fail;
      }
    },
  );
}

const verb = (name: string, description: string): Command =>
  new Command(name).description(description).option("--json", "print the result as JSON");

const registryVerb = (name: string, description: string): Command =>
  verb(name, description)
    .argument("<registry>", "host and path, e.g. ghcr.io/example/orrery")
    .argument("[names...]", "names of images; all that pods of experiments run when none is named")
    .option("--insecure", "the registry speaks plain HTTP or has a certificate nobody knows");

const preparing = ({ console, signals }: Session) => ({ progress: console.progress, signal: signals.command });

/** What it takes to make images of these names, or all that pods of experiments run. */
async function toolsFor(
  names: readonly string[],
  session: Session,
): Promise<{ readonly wanted: ImageName[]; readonly tools: Tools; readonly home: OrreryHome }> {
  const wanted = knownNames(names);
  const home = OrreryHome.fromEnvironment();
  await home.prepare();
  const tools = await resolveTools(home, [...imageTools, ...toolsIn(wanted)], preparing(session));
  return { wanted, tools, home };
}

/** The names as they are in the table; without any, all that pods of experiments run. */
function knownNames(names: readonly string[]): ImageName[] {
  const unknown = names.filter((name) => !isImageName(name));
  if (unknown.length > 0) {
    throw new InputError(
      unknown.map((name) => ({
        path: name,
        rule: "there is no such image.",
        fix: `Images are ${Object.keys(images).join(", ")}.`,
      })),
    );
  }
  return names.length > 0 ? names.filter(isImageName) : runByPods;
}

async function build(names: readonly string[], session: Session) {
  const { wanted, tools, home } = await toolsFor(names, session);
  return { built: await buildImages(home, tools, wanted, preparing(session)), tools, home };
}

/** Names of the images that pods of experiments run. */
const runByPods = Object.entries<ImageSpec>(images)
  .filter(([, { internal }]) => internal !== true)
  .map(([name]) => name)
  .filter(isImageName);

function registryOf(prefix: string, { insecure }: RegistryFlags): Registry {
  if (!/^[a-z0-9.-]+(:\d+)?(\/[a-z0-9._/-]+)?$/.test(prefix)) {
    throw new InputError([
      { path: prefix, rule: "is no place in a registry.", fix: "Write host and path, e.g. ghcr.io/example/orrery." },
    ]);
  }
  return { prefix: prefix.replace(/\/$/, ""), insecure: insecure === true };
}
