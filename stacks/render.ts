import * as pulumi from "@pulumi/pulumi";

/** One resource of a program that ran without engine and cluster. */
export interface RenderedResource {
  /** Type token, e.g. `kubernetes:core/v1:Service`. */
  readonly type: string;
  /** Pulumi name, and the types of its parents in the URN. */
  readonly name: string;
  readonly urn: string;
  readonly custom: boolean;
  /** Inputs with secrets unwrapped. */
  readonly inputs: Readonly<Record<string, unknown>>;
  /** Paths of the inputs that are secret. */
  readonly secrets: readonly string[];
}

const secretSignature = "4dabf18193072939515e22adb298388d"; // marks special values on the engine's wire

/**
 * Runs a Pulumi program against mocks and returns every resource it would make, in the order of registration.
 * Nothing is contacted; a call of a provider function fails, since nothing here could answer it truthfully.
 *
 * @param learned What a provider would know of a resource once it is made; with it, ids and outputs are known too
 * @param found What a provider would find of a resource that the program only reads; such a one is not in the result
 *
 * Shares Pulumi's process-wide state: one at a time.
 */
export async function render(
  build: () => void | Promise<void>,
  learned?: (type: string) => Readonly<Record<string, unknown>>,
  found?: (type: string) => Readonly<Record<string, unknown>>,
): Promise<RenderedResource[]> {
  const inputs = new Map<string, Record<string, unknown>>();
  const read = new Set<string>();
  const made: pulumi.Resource[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource: (args) => {
        if (args.id) {
          read.add(`${args.type}\n${args.name}`);
          return { id: args.id, state: { ...found?.(args.type) } };
        }
        inputs.set(`${args.type}\n${args.name}`, args.inputs);
        return { id: `${args.name}-id`, state: { ...args.inputs, ...learned?.(args.type) } };
      },
      call: (args) => {
        throw new Error(`render: the program calls ${args.token}, which only a provider can answer`);
      },
    },
    "orrery",
    "render",
    learned === undefined,
  );
  let failure: unknown; // kept aside: a program that throws would leave Pulumi's own promises unhandled
  await pulumi.runtime.runInPulumiStack(async () => {
    pulumi.runtime.registerStackTransformation(({ resource }) => {
      made.push(resource);
      return undefined;
    });
    try {
      await build();
    } catch (error) {
      failure = error;
    }
    return {};
  });
  await pulumi.runtime.disconnect(); // what a failed program registered must not reach the next one's mocks
  if (failure !== undefined) {
    throw failure;
  }
  const described = await Promise.all(made.map((resource) => describe(resource, inputs)));
  return described.filter(({ type, name }) => !read.has(`${type}\n${name}`));
}

async function describe(
  resource: pulumi.Resource,
  inputs: ReadonlyMap<string, Record<string, unknown>>,
): Promise<RenderedResource> {
  const urn = await resolved(resource.urn);
  const [, , qualifiedType = "", name = ""] = urn.replace(/^urn:pulumi:/, "").split("::");
  const type = qualifiedType.split("$").at(-1) ?? "";
  const secrets: string[] = [];
  const plain = unwrap(inputs.get(`${type}\n${name}`) ?? {}, "", secrets);
  return {
    type,
    name,
    urn,
    custom: pulumi.CustomResource.isInstance(resource),
    inputs: isRecord(plain) ? plain : {},
    secrets,
  };
}

function resolved(output: pulumi.Output<string>): Promise<string> {
  return new Promise((resolve) => void output.apply(resolve));
}

function unwrap(value: unknown, path: string, secrets: string[]): unknown {
  if (Array.isArray(value)) {
    return value.map((item, index) => unwrap(item, `${path}[${index}]`, secrets));
  }
  if (!isRecord(value)) {
    return value;
  }
  if (secretSignature in value) {
    secrets.push(path);
    return unwrap(value.value, path, secrets);
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, unwrap(item, path === "" ? key : `${path}.${key}`, secrets)]),
  );
}

/** The inputs of a resource for people to read: every secret value replaced, the names of its fields kept. */
export function withoutSecrets({ inputs, secrets }: RenderedResource): unknown {
  const hidden = new Set(secrets);
  const mask = (value: unknown, path: string, secret: boolean): unknown => {
    const inside = secret || hidden.has(path);
    if (Array.isArray(value)) {
      return value.map((item, index) => mask(item, `${path}[${index}]`, inside));
    }
    if (!isRecord(value)) {
      return inside ? "(secret)" : value;
    }
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, mask(item, path === "" ? key : `${path}.${key}`, inside)]),
    );
  };
  return mask(inputs, "", false);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
