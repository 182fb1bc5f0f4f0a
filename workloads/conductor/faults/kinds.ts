import type { PlannedFault } from "../../../schema/run.ts";
import { kill } from "./kill.ts";
import { pause } from "./pause.ts";
import type { FaultKind } from "./scene.ts";

/** How each kind of fault is carried out. */
export const faultKinds: Readonly<Record<PlannedFault["kind"], FaultKind>> = { kill, pause };
