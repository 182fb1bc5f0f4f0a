package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GetSchema describes the package just far enough for the engine: every built-in kind by name, without its fields.
// SDKs and generated code come from the published schema of @pulumi/kubernetes.
func (s *server) GetSchema(_ context.Context, req *pulumirpc.GetSchemaRequest) (*pulumirpc.GetSchemaResponse, error) {
	if req.GetVersion() != 0 {
		return nil, status.Errorf(codes.InvalidArgument, "unsupported schema version %d", req.GetVersion())
	}
	if req.GetSubpackageName() != "" {
		return nil, needsOfficial(fmt.Sprintf("the schema of %s", req.GetSubpackageName()))
	}
	text, err := json.Marshal(packageSchema())
	if err != nil {
		return nil, fmt.Errorf("encoding the schema: %w", err)
	}
	return &pulumirpc.GetSchemaResponse{Schema: string(text)}, nil
}

func packageSchema() object {
	resources := object{}
	for gvk := range builtin.AllKnownTypes() {
		internal := gvk.Version == "__internal" || strings.HasSuffix(gvk.Kind, "Options") || gvk.Kind == "WatchEvent"
		keys := inputKeys(gvk)
		if internal || !contains(keys, "metadata") || isListKind(gvk) {
			continue
		}
		properties := object{}
		for _, key := range keys {
			properties[key] = object{"type": "object", "additionalProperties": object{"$ref": "pulumi.json#/Any"}}
			if key == "apiVersion" || key == "kind" {
				properties[key] = object{"type": "string"}
			}
		}
		resources[tokenOf(gvk)] = object{"properties": properties, "inputProperties": properties}
	}
	return object{
		"name": pluginName, "version": version, "resources": resources,
		"description": "Kubernetes objects, served by Orrery's own kubernetes plugin (kinds only, without their fields).",
	}
}

// tokenOf is the Pulumi type of a kind.
func tokenOf(gvk schema.GroupVersionKind) string {
	group := gvk.GroupVersion().String()
	if gvk.Group == "" {
		group = "core/" + gvk.Version
	}
	return fmt.Sprintf("%s:%s:%s", pluginName, group, gvk.Kind)
}
