package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/dynamic"
)

// Update changes the object in place and waits until it is ready again.
func (s *server) Update(ctx context.Context, req *pulumirpc.UpdateRequest) (*pulumirpc.UpdateResponse, error) {
	ctx, done := s.operation(ctx)
	defer done()
	stored, err := readState(req.GetOlds(), req.GetOldInputs())
	if err != nil {
		return nil, err
	}
	marked, err := unmarshal(req.GetNews(), "new inputs")
	if err != nil {
		return nil, err
	}
	o := &operation{s: s, urn: resource.URN(req.GetUrn()), inputs: plainMap(marked), marked: marked, preview: req.GetPreview(), timeout: seconds(req.GetTimeout())}
	if o.what, err = targetOf(o.urn, o.inputs); err != nil {
		return nil, err
	}
	if o.manager, err = s.manager(o.inputs, stored.manager); err != nil {
		return nil, err
	}
	if s.cluster.unreachable != nil && !o.preview {
		return nil, unreachableError(s.cluster.unreachable)
	}
	if !isNamed(o.inputs) {
		// generateName objects keep the name the server gave them.
		_, name := splitID(req.GetId())
		ensureMap(o.inputs, "metadata")["name"] = name
	}
	if o.preview {
		return o.previewUpdate(ctx, stored, req.GetIgnoreChanges())
	}
	live, err := o.update(ctx, stored, req.GetIgnoreChanges())
	if err != nil {
		return nil, o.updateFailed(ctx, req.GetId(), stored, live, cancelledOr(ctx, o.name(), err))
	}
	fields, err := o.outputs(live.Object, stored.initialAPIVersion).marshal(o.what.gvk)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.UpdateResponse{Properties: fields}, nil
}

func (o *operation) update(ctx context.Context, stored state, ignored []string) (*unstructured.Unstructured, error) {
	changed, err := o.change(ctx, stored, ignored)
	if err != nil {
		return nil, err
	}
	live, err := o.await(ctx, changed)
	if err != nil {
		return live, err
	}
	if o.s.settings.serverSideApply && stored.manager != "" && stored.manager != o.manager && stored.manager != createManager {
		client, err := o.s.cluster.client(o.what.gvk, namespaceOf(o.inputs))
		if err == nil {
			err = o.release(ctx, client, stored.manager)
		}
		if err != nil {
			return live, fmt.Errorf("releasing the fields of the previous field manager %s: %w", stored.manager, err)
		}
	}
	return live, nil
}

// updateFailed reports a failed update. If the object can be read, what it is now goes into the state.
func (o *operation) updateFailed(ctx context.Context, id string, stored state, live *unstructured.Unstructured, cause error) error {
	if isNoMatch(cause) {
		return cause
	}
	if live == nil {
		reading := context.WithoutCancel(ctx)
		var err error
		namespace, name := splitID(id)
		if live, err = o.s.cluster.get(reading, o.what.gvk, namespace, name); err != nil {
			return cause
		}
	}
	if waiting := new(waitError); errors.As(cause, &waiting) {
		cause = &waitError{
			reason: fmt.Sprintf("resource %s was updated, but it failed to fully initialize or become live: %s", id, waiting.reason),
			issues: waiting.issues,
		}
	} else {
		cause = fmt.Errorf("updating %s %s: %w", o.what.gvk.Kind, id, cause)
	}
	return initFailed(id, o.outputs(live.Object, stored.initialAPIVersion), o.what.gvk, false, cause)
}

func (o *operation) previewUpdate(ctx context.Context, stored state, ignored []string) (*pulumirpc.UpdateResponse, error) {
	live := o.inputs
	if o.s.cluster.unreachable == nil && o.s.settings.serverSideApply && !o.what.patch && !hasUnknown(o.inputs) {
		proposed, err := o.change(ctx, stored, ignored)
		switch {
		case err == nil:
			live = proposed.Object
		case isNoMatch(err), apierrors.IsForbidden(err), dryRunUnsupported(err):
		default:
			return nil, err
		}
	}
	fields, err := o.outputs(live, stored.initialAPIVersion).marshal(o.what.gvk)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.UpdateResponse{Properties: fields}, nil
}

// change sends the update in the way the provider is configured for.
func (o *operation) change(ctx context.Context, stored state, ignored []string) (*unstructured.Unstructured, error) {
	client, err := o.s.cluster.client(o.what.gvk, namespaceOf(o.inputs))
	if err != nil {
		return nil, err
	}
	live, err := client.Get(ctx, o.name(), metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	body := forCluster(o.inputs)
	switch {
	case o.what.gvk.Kind == "CustomResourceDefinition" && o.what.gvk.Group == "apiextensions.k8s.io" && !o.what.patch:
		replacement := asUnstructured(body)
		replacement.SetResourceVersion(live.GetResourceVersion())
		updated, err := client.Update(ctx, replacement, metav1.UpdateOptions{FieldManager: o.manager, DryRun: dryRun(o.preview)})
		o.s.cluster.forget()
		return updated, err
	case o.s.settings.serverSideApply:
		return o.applyUpdate(ctx, client, live, body, ignored)
	default:
		return o.mergeUpdate(ctx, client, live, forCluster(stored.plainInputs()), body)
	}
}

func (o *operation) applyUpdate(ctx context.Context, client dynamic.ResourceInterface, live *unstructured.Unstructured, body object, ignored []string) (*unstructured.Unstructured, error) {
	force := o.forced() || len(live.GetManagedFields()) == 0 || o.preview && hasEarlier(live)
	if err := keepIgnored(body, live, ignored, o.manager); err != nil {
		return nil, err
	}
	if !o.preview && !o.what.patch {
		if err := o.migrate(ctx, client, live); err != nil {
			return nil, fmt.Errorf("moving field ownership to %s: %w", o.manager, err)
		}
	}
	return o.apply(ctx, client, body, force)
}

// mergeUpdate is the way before server-side apply: a patch from old inputs to new ones over the live object.
func (o *operation) mergeUpdate(ctx context.Context, client dynamic.ResourceInterface, live *unstructured.Unstructured, before, after object) (*unstructured.Unstructured, error) {
	var documents [3][]byte
	for i, document := range []object{before, after, live.Object} {
		data, err := json.Marshal(document)
		if err != nil {
			return nil, fmt.Errorf("encoding %s: %w", o.id(), err)
		}
		documents[i] = data
	}
	kind, patch := types.MergePatchType, []byte(nil)
	sample, err := builtin.New(o.what.gvk)
	if err == nil {
		lookup, lookupErr := strategicpatch.NewPatchMetaFromStruct(sample)
		if lookupErr != nil {
			return nil, fmt.Errorf("reading the patch rules of %s: %w", o.what.gvk, lookupErr)
		}
		kind = types.StrategicMergePatchType
		patch, err = strategicpatch.CreateThreeWayMergePatch(documents[0], documents[1], documents[2], lookup, true)
	} else {
		patch, err = jsonmergepatch.CreateThreeWayJSONMergePatch(documents[0], documents[1], documents[2])
	}
	if err != nil {
		return nil, fmt.Errorf("computing the patch for %s: %w", o.id(), err)
	}
	return client.Patch(ctx, o.name(), kind, patch, metav1.PatchOptions{FieldManager: o.manager, DryRun: dryRun(o.preview)})
}

// plainKeys reads a property path without indexes or wildcards.
func plainKeys(text string) ([]string, bool) {
	path, err := resource.ParsePropertyPath(text)
	if err != nil || len(path) == 0 {
		return nil, false
	}
	keys := make([]string, 0, len(path))
	for _, step := range path {
		key, ok := step.(string)
		if !ok || key == "*" {
			return nil, false
		}
		keys = append(keys, key)
	}
	return keys, true
}
