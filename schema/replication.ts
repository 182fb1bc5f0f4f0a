import { z } from "zod";
import { durationSchema } from "./units.ts";

/** The `observe.replication` section. */
export const replicationSchema = z
  .strictObject({
    deadline: durationSchema({ min: "10ms", max: "1h" })
      .prefault("10s")
      .meta({
        description: "A write that shows at some member later than this after its acknowledgement is not replicated.",
        unit: "duration",
        examples: ["10s"],
      }),
  })
  .meta({
    description: "Follow every acknowledged write to every member over the members' feeds, for time to replicate.",
    examples: [{ deadline: "10s" }],
  });
