package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// Invoke serves kubernetes:yaml:decode; the other functions of the official plugin need Helm or kustomize.
func (s *server) Invoke(_ context.Context, req *pulumirpc.InvokeRequest) (*pulumirpc.InvokeResponse, error) {
	switch req.GetTok() {
	case "kubernetes:yaml:decode":
	case "kubernetes:helm:template", "kubernetes:kustomize:directory":
		return nil, needsOfficial("the function " + req.GetTok())
	default:
		return nil, status.Errorf(codes.InvalidArgument, "unknown function %s", req.GetTok())
	}
	args, err := unmarshal(req.GetArgs(), "arguments of yaml:decode")
	if err != nil {
		return nil, err
	}
	objects, err := decodeYAML(textOf(args["text"]))
	if err != nil {
		return nil, err
	}
	if namespace := textOf(args["defaultNamespace"]); namespace != "" {
		for _, each := range objects {
			fields := each.(object)
			if namespaceOf(fields) == "" && s.namespaced(groupVersionKind(fields)) {
				ensureMap(fields, "metadata")["namespace"] = namespace
			}
		}
	}
	fields, err := marshal(resource.PropertyMap{"result": toProperty(objects)}, "result of yaml:decode")
	if err != nil {
		return nil, err
	}
	return &pulumirpc.InvokeResponse{Return: fields}, nil
}

// decodeYAML reads all documents of a manifest; the elements of List objects are returned one by one.
func decodeYAML(text string) ([]any, error) {
	objects := []any{}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewBufferString(text), 4096)
	for document := 1; ; document++ {
		fields := object{}
		err := decoder.Decode(&fields)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("document %d of the manifest: %w", document, err)
		}
		switch {
		case len(fields) == 0:
		case isListKind(groupVersionKind(fields)) || textAt(fields, "kind") == "List":
			objects = append(objects, listAt(fields, "items")...)
		case textAt(fields, "apiVersion") == "" || textAt(fields, "kind") == "":
			return nil, fmt.Errorf("document %d of the manifest: apiVersion and kind are required", document)
		default:
			objects = append(objects, fields)
		}
	}
}
