import type { Check } from "../local/toolchain/doctor.ts";
import { EnvironmentError } from "../schema/errors.ts";

/** What a look at something gave: what was found, and what to do where that is not enough. */
type Looked = string | { readonly found: string; readonly fix: string };

/** One check by trying; an EnvironmentError is a failed check, anything else is thrown. */
export async function attempt(name: string, needed: string, look: () => Promise<Looked>): Promise<Check> {
  try {
    const looked = await look();
    return typeof looked === "string"
      ? { name, status: "ok", found: looked, needed, fix: "" }
      : { name, status: "fail", found: looked.found, needed, fix: looked.fix };
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    return { name, status: "fail", found: error.what, needed, fix: error.fix };
  }
}
