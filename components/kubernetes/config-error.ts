import * as pulumi from "@pulumi/pulumi";

/** Arguments of a component that cannot work together; Pulumi prints it without a stack trace. */
export class ConfigError extends pulumi.RunError {
  /**
   * @param component Name of the component.
   * @param path Argument, e.g. `network.replicas`.
   * @param value What was given.
   * @param rule What is wrong with it.
   * @param fix What to write instead.
   */
  constructor(component: string, path: string, value: unknown, rule: string, fix: string) {
    super(`${component}: ${path} = ${JSON.stringify(value)}: ${rule} ${fix}`);
  }
}
