import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { z } from "zod";
import { log, messageOf } from "../log.ts";
import type { Manager } from "../manager.ts";
import type { Metrics } from "../metrics.ts";
import { Problem } from "../problem.ts";

/** How the manager is spoken to: Constellation's API, or the first version of Tessera's. */
export type Mode = "constellation" | "tessera";

export interface ApiParts {
  readonly manager: Manager;
  readonly metrics: Metrics;
  readonly mode: Mode;
  /** Whether requests are taken; false once the process is to stop. */
  readonly ready: () => boolean;
}

/** What `/version` says in tessera mode: this is not Tessera. */
export const version = "0.1.0-orrery-stand-in";

/** Largest request: a payload of 4 MiB in base64, encrypted, in base64 again. */
const largestBody = 12 * 1024 * 1024;

/** An application that counts its requests and answers problems as JSON. */
export function createApp({ metrics }: Pick<ApiParts, "metrics">): Hono {
  const app = new Hono();
  app.use(async (context, next) => {
    await next();
    metrics.count("request", `${Math.floor(context.res.status / 100)}xx`);
  });
  app.use(
    bodyLimit({
      maxSize: largestBody,
      onError: () => {
        throw new Problem(413, `a request may have ${largestBody} bytes at most`);
      },
    }),
  );
  app.notFound((context) => refuse(context, 404, `there is no ${context.req.method} ${context.req.path}`));
  app.onError((error, context) => {
    if (error instanceof z.ZodError || error instanceof SyntaxError) {
      const problem = error instanceof z.ZodError ? z.prettifyError(error) : error.message;
      return refuse(context, 400, `the body of ${context.req.path} is not as agreed: ${problem}`);
    }
    const status = error instanceof Problem ? error.status : 500;
    log(status >= 500 ? "error" : "warn", "a request failed", { path: context.req.path, problem: messageOf(error) });
    return refuse(context, status, messageOf(error));
  });
  return app;
}

/** GoQuorum logs headers of an answer it does not like, and not always the body; so the reason is in both. */
function refuse(context: Context, status: Problem["status"], error: string): Response {
  const header = error.replace(/[^\x20-\x7e]+/g, " ").slice(0, 500);
  return context.json({ error }, status, { "orrery-problem": header });
}

export const keysOfHeader = (text: string | undefined): string[] =>
  (text ?? "").split(",").flatMap((key) => (key.trim() === "" ? [] : [key.trim()]));
