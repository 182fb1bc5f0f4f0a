import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** What a command printed and how it ended; one of `test/fixtures/<tool>/answers.json`. */
export interface Answer {
  /** Where it comes from: `documentation: ...` or `recorded: <version of the tool>`. */
  readonly source: string;
  readonly args: readonly string[];
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a fake does when a command line matches: its answers in turn, the last one from then on. */
export interface Script {
  /** Shell pattern of the whole command line, e.g. `profile list *`. */
  readonly pattern: string;
  readonly answers: readonly Pick<Answer, "code" | "stdout" | "stderr">[];
}

/**
 * Writes an executable that replays answers and notes how it was called. What is not in the script ends with 64, so that
 * a call nobody expected is seen.
 *
 * @returns the command lines it was called with so far
 */
export async function fakeTool(
  folder: string,
  program: string,
  scripts: readonly Script[],
): Promise<() => Promise<string[]>> {
  const data = join(folder, `${program}.data`);
  await mkdir(data, { recursive: true });
  const cases: string[] = [];
  for (const [index, { pattern, answers }] of scripts.entries()) {
    for (const [turn, answer] of answers.entries()) {
      const file = join(data, `${index}.${turn + 1}`);
      await writeFile(`${file}.stdout`, answer.stdout);
      await writeFile(`${file}.stderr`, answer.stderr);
      await writeFile(`${file}.code`, String(answer.code));
    }
    cases.push(`${pattern.replaceAll(" ", "\\ ")}) answer ${index} ${answers.length} ;;`);
  }
  await writeFile(join(data, "calls"), "");
  await writeFile(join(folder, program), shellProgram(program, data, cases));
  await chmod(join(folder, program), 0o755);
  return async () => (await readFile(join(data, "calls"), "utf8")).split("\n").filter((line) => line !== "");
}

const shellProgram = (program: string, data: string, cases: readonly string[]): string => `#!/bin/sh
answer() {
  echo x >> "${data}/$1.turns"
  turn=$(wc -l < "${data}/$1.turns")
  [ "$turn" -le "$2" ] || turn=$2
  turn=$((turn))
  cat "${data}/$1.$turn.stdout"
  cat "${data}/$1.$turn.stderr" >&2
  exit "$(cat "${data}/$1.$turn.code")"
}
echo "$*" >> "${data}/calls"
case "$*" in
${cases.join("\n")}
esac
echo "${program}: nobody expected: $*" >&2
exit 64
`;
