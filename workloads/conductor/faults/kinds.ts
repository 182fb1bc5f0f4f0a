import type { PlannedFault } from "../../../schema/run.ts";
import type { FaultKind } from "./fault.ts";
import { kill } from "./kill.ts";
import { pause } from "./pause.ts";

/** How each kind of fault is carried out. */
export const faultKinds: Readonly<Record<PlannedFault["kind"], FaultKind>> = { kill, pause };
