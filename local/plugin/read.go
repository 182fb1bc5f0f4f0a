package main

import (
	"context"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Read fetches the object for refresh (with old inputs), import and get (without). An object that is gone yields an
// empty ID.
func (s *server) Read(ctx context.Context, req *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	ctx, done := s.operation(ctx)
	defer done()
	urn := resource.URN(req.GetUrn())
	stored, err := readState(req.GetProperties(), req.GetInputs())
	if err != nil {
		return nil, err
	}
	if len(stored.inputs) == 0 {
		if stored.inputs, err = unmarshal(req.GetInputs(), "inputs"); err != nil {
			return nil, err
		}
	}
	inputs := stored.plainInputs()
	what, err := targetOf(urn, inputs)
	if err != nil {
		return nil, err
	}
	if s.cluster.unreachable != nil {
		return s.readUnreachable(urn, req)
	}
	namespace, name := splitID(req.GetId())
	if written := namespaceOf(inputs); written != "" {
		namespace = written
	}
	live, err := s.cluster.get(ctx, what.gvk, namespace, name)
	if apierrors.IsNotFound(err) || isNoMatch(err) {
		return &pulumirpc.ReadResponse{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", what.gvk.Kind, req.GetId(), err)
	}
	imported := len(inputs) == 0
	if imported {
		inputs = importedInputs(what, live.Object)
	} else {
		inputs = prune(forState(live.Object), inputs).(object)
	}
	marked := markSecrets(what.gvk, stored.inputs, propertyMap(inputs))
	o := &operation{s: s, urn: urn, what: what, inputs: inputs, marked: marked}
	if o.manager, err = s.manager(inputs, stored.manager); err != nil {
		return nil, err
	}
	result := o.outputs(live.Object, stored.initialAPIVersion)
	id := objectID(live.GetNamespace(), live.GetName())
	if !imported && !what.patch {
		if notReady := o.readCheck(ctx, live); notReady != nil {
			return nil, initFailed(id, result, what.gvk, true, notReady)
		}
	}
	return result.response(id, what)
}

func (st state) response(id string, what target) (*pulumirpc.ReadResponse, error) {
	fields, err := st.marshal(what.gvk)
	if err != nil {
		return nil, err
	}
	inputs, err := marshal(markSecrets(what.gvk, st.inputs, st.inputs), "inputs")
	if err != nil {
		return nil, err
	}
	return &pulumirpc.ReadResponse{Id: id, Properties: fields, Inputs: inputs}, nil
}

func (s *server) readUnreachable(urn resource.URN, req *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	s.log(diag.Warning, urn, "configured Kubernetes cluster is unreachable: %v", s.cluster.unreachable)
	switch {
	case s.settings.deleteUnreachable:
		return &pulumirpc.ReadResponse{}, nil
	case s.settings.skipUpdateUnreachable:
		return &pulumirpc.ReadResponse{Id: req.GetId(), Properties: req.GetProperties(), Inputs: req.GetInputs()}, nil
	}
	return nil, fmt.Errorf("%w\nIf the cluster no longer exists, set PULUMI_K8S_DELETE_UNREACHABLE=true (or "+
		"deleteUnreachable on the provider) to drop its resources from the state", unreachableError(s.cluster.unreachable))
}

// importedInputs are the inputs that would recreate a live object: the fields a program may set, without what the
// server wrote. Of custom kinds, whose fields are not known here, only the identity is taken.
func importedInputs(what target, live object) object {
	metadata := copyObject(mapAt(live, "metadata"))
	for _, key := range serverFields {
		delete(metadata, key)
	}
	if annotations, ok := metadata["annotations"].(object); ok {
		delete(annotations, annotationRevision)
		delete(annotations, annotationLastApplied)
		if len(annotations) == 0 {
			delete(metadata, "annotations")
		}
	}
	keys := inputKeys(what.gvk)
	if keys == nil {
		keys = []string{"apiVersion", "kind"}
		for key := range metadata {
			if key != "name" && key != "namespace" {
				delete(metadata, key)
			}
		}
	}
	inputs := object{"metadata": metadata}
	for _, key := range keys {
		if value, found := live[key]; found && key != "metadata" && value != nil {
			inputs[key] = copyPlain(value)
		}
	}
	return forState(inputs)
}
