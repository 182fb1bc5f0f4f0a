import type * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { pods, tcp } from "./kubernetes/network-policy.ts";

/** Where drivers and members send OTLP, and how much; networks and workload need nothing else of observability. */
export interface TelemetryHandle {
  /** Base URL of OTLP over HTTP, e.g. `http://otel-collector.orrery-kv.svc.cluster.local:4318`. */
  readonly endpoint: pulumi.Output<string>;
  /** Share of the operations that are traced; 0 when only metrics are collected. */
  readonly sampleRatio: number;
  /** Port of `endpoint`, for NetworkPolicies. */
  readonly port: number;
  /** Labels of the collector's pods, for NetworkPolicies. */
  readonly podSelector: Readonly<Record<string, string>>;
}

/** The standard OpenTelemetry variables of a container that sends to the collector. */
export function telemetryVariables(
  telemetry: TelemetryHandle | undefined,
  service: string,
): k8s.types.input.core.v1.EnvVar[] {
  return telemetry === undefined
    ? []
    : [
        { name: "OTEL_SERVICE_NAME", value: service },
        { name: "OTEL_EXPORTER_OTLP_ENDPOINT", value: telemetry.endpoint },
        { name: "OTEL_EXPORTER_OTLP_PROTOCOL", value: "http/protobuf" },
        { name: "OTEL_TRACES_SAMPLER", value: "parentbased_traceidratio" },
        { name: "OTEL_TRACES_SAMPLER_ARG", value: String(telemetry.sampleRatio) },
      ];
}

/** Egress rules of pods that send to the collector. */
export function toCollector(telemetry: TelemetryHandle | undefined) {
  return telemetry === undefined ? [] : [{ to: [pods({ ...telemetry.podSelector })], ports: tcp(telemetry.port) }];
}
