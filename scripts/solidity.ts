import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import solc from "solc";
import { z } from "zod";

const outputSchema = z.object({
  errors: z.array(z.object({ severity: z.string(), formattedMessage: z.string() })).default([]),
  contracts: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        abi: z.array(z.unknown()),
        evm: z.object({
          bytecode: z.object({ object: z.string() }),
          deployedBytecode: z.object({ object: z.string() }),
        }),
      }),
    ),
  ),
});

/** What the compiler says of every contract for this EVM. */
const oldEvm = /Support for EVM versions older than london is deprecated/;

/**
 * Compiles the contract of a Solidity file that is named as the file is. The code is for the berlin EVM: GoQuorum 22.7
 * has no PUSH0.
 *
 * @returns The artifact as JSON text: compiler, ABI, and code to deploy and as deployed, in hex without 0x
 * @throws Error with all the compiler says, warnings included
 */
export async function compileContract(file: string): Promise<string> {
  const source = basename(file);
  const input = {
    language: "Solidity",
    sources: { [source]: { content: await readFile(file, "utf8") } },
    settings: {
      evmVersion: "berlin",
      optimizer: { enabled: true, runs: 200 },
      metadata: { bytecodeHash: "none" },
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
  };
  const { errors, contracts } = outputSchema.parse(JSON.parse(solc.compile(JSON.stringify(input))));
  const said = errors.map(({ formattedMessage }) => formattedMessage).filter((text) => !oldEvm.test(text));
  if (said.length > 0) throw new Error(said.join("\n"));
  const contract = contracts[source]?.[basename(file, ".sol")];
  if (contract === undefined) throw new Error(`${file} holds no contract of its name`);
  const artifact = {
    compiler: `solc ${solc.version()}`,
    abi: contract.abi,
    bytecode: contract.evm.bytecode.object,
    deployedBytecode: contract.evm.deployedBytecode.object,
  };
  return `${JSON.stringify(artifact, null, 2)}\n`;
}
