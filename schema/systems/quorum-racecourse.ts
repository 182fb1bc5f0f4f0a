import { z } from "zod";
import type { Problem } from "../errors.ts";

/** The `network.racecourse` section of a quorum experiment: the web app, if there is to be one. */
export const racecourseSchema = z
  .strictObject({
    replicas: z.int().min(1).max(9).default(1).meta({
      description: "Pods that serve the page; all show and play the same race.",
      unit: "pods",
    }),
    players: z.int().min(1).max(32).default(4).meta({ description: "Players to choose from.", unit: "accounts" }),
    host: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/, {
        error: "a host name is lower-case labels joined by dots",
      })
      .max(200)
      .optional()
      .meta({
        description: "Host name the page is served under; every name that leads to the ingress when absent.",
        examples: ["racecourse.example.org"],
      }),
    tls: z
      .strictObject({
        secret: z
          .string()
          .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, { error: "no name of a Secret" })
          .max(253)
          .optional()
          .meta({
            description: "Secret in the experiment's namespace with certificate and key; the controller's when absent.",
            examples: ["racecourse-tls"],
          }),
      })
      .optional()
      .meta({ description: "Serve the page over TLS; needs a host." }),
  })
  .meta({ description: "The web app: races whose bets are transactions, shown in a browser through the ingress." });

export type RacecourseSection = z.output<typeof racecourseSchema>;

/** What no single field shows to be wrong. */
export function racecourseProblems(section: RacecourseSection | undefined): Problem[] {
  return section?.tls !== undefined && section.host === undefined
    ? [
        {
          path: "network.racecourse.tls",
          rule: "a certificate is for a host, and none is named.",
          fix: "Write network.racecourse.host, or leave tls out.",
        },
      ]
    : [];
}
