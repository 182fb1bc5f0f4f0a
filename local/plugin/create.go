package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// operation describes one create, update, read or delete of one object.
type operation struct {
	s       *server
	urn     resource.URN
	what    target
	inputs  object // plain
	marked  resource.PropertyMap
	manager string
	preview bool
	timeout time.Duration // from the engine's customTimeouts; 0 = not set
}

func (o *operation) id() string   { return objectID(namespaceOf(o.inputs), nameOf(o.inputs)) }
func (o *operation) name() string { return nameOf(o.inputs) }

// outputs is the state for a live object under these inputs.
func (o *operation) outputs(live object, initialAPIVersion string) state {
	if initialAPIVersion == "" {
		initialAPIVersion = o.what.gvk.GroupVersion().String()
	}
	return state{inputs: o.marked, live: live, initialAPIVersion: initialAPIVersion, manager: o.manager}
}

func dryRun(preview bool) []string {
	if preview {
		return []string{metav1.DryRunAll}
	}
	return nil
}

// Create makes the object and waits until it is ready.
func (s *server) Create(ctx context.Context, req *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	ctx, done := s.operation(ctx)
	defer done()
	urn := resource.URN(req.GetUrn())
	marked, err := unmarshal(req.GetProperties(), "inputs")
	if err != nil {
		return nil, err
	}
	o := &operation{s: s, urn: urn, inputs: plainMap(marked), marked: marked, preview: req.GetPreview(), timeout: seconds(req.GetTimeout())}
	if o.what, err = targetOf(urn, o.inputs); err != nil {
		return nil, err
	}
	if o.manager, err = s.manager(o.inputs, ""); err != nil {
		return nil, err
	}
	if o.preview {
		return o.previewCreate(ctx)
	}
	if s.cluster.unreachable != nil {
		return nil, unreachableError(s.cluster.unreachable)
	}
	created, err := o.createWithRetry(ctx)
	if err != nil {
		return nil, cancelledOr(ctx, o.name(), err)
	}
	if o.what.gvk.Kind == "CustomResourceDefinition" {
		s.cluster.forget()
	}
	ensureMap(o.inputs, "metadata")["name"] = created.GetName() // generateName is resolved by the server
	id := objectID(created.GetNamespace(), created.GetName())
	live, waitErr := o.await(ctx, created)
	stored := o.outputs(live.Object, "")
	if waitErr != nil {
		return nil, initFailed(id, stored, o.what.gvk, false, &waitError{
			reason: fmt.Sprintf("resource %s was successfully created, but it failed to fully initialize or become live: %v",
				id, firstLine(waitErr)),
			issues: issuesOf(waitErr),
		})
	}
	fields, err := stored.marshal(o.what.gvk)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.CreateResponse{Id: id, Properties: fields}, nil
}

func firstLine(err error) string {
	var wait *waitError
	if errors.As(err, &wait) {
		return wait.reason
	}
	return err.Error()
}

func issuesOf(err error) []string {
	var wait *waitError
	if errors.As(err, &wait) {
		return wait.issues
	}
	return nil
}

func seconds(value float64) time.Duration { return time.Duration(value * float64(time.Second)) }

// previewCreate asks the API server what it would store, where it can tell; otherwise the inputs are the answer.
func (o *operation) previewCreate(ctx context.Context) (*pulumirpc.CreateResponse, error) {
	live := o.inputs
	if o.s.cluster.unreachable == nil && o.s.settings.serverSideApply && !o.what.patch && !hasUnknown(o.inputs) {
		proposed, err := o.post(ctx)
		switch {
		case err == nil:
			live = proposed.Object
			delete(live, "status")
		case isNoMatch(err), apierrors.IsForbidden(err), apierrors.IsNotFound(err), apierrors.IsAlreadyExists(err), dryRunUnsupported(err):
		default:
			return nil, err
		}
	}
	fields, err := o.outputs(live, "").marshal(o.what.gvk)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.CreateResponse{Properties: fields}, nil
}

// dryRunUnsupported recognises an admission webhook or an old server that refuses dry runs.
func dryRunUnsupported(err error) bool {
	return apierrors.IsBadRequest(err) && containsText(err.Error(), "dry run", "dryRun", "dry-run")
}

// post sends the object once: a plain create, or an apply for patches and upserts.
func (o *operation) post(ctx context.Context) (*unstructured.Unstructured, error) {
	client, err := o.s.cluster.client(o.what.gvk, namespaceOf(o.inputs))
	if err != nil {
		return nil, err
	}
	body := forCluster(o.inputs)
	if o.what.patch || o.s.settings.upsert && o.s.settings.serverSideApply {
		return o.apply(ctx, client, body, o.forced())
	}
	return client.Create(ctx, asUnstructured(body), metav1.CreateOptions{FieldManager: createManager, DryRun: dryRun(o.preview)})
}

// forced is true when the program or provider says to take over fields that others own.
func (o *operation) forced() bool {
	return annotation(o.inputs, annotationForce) == "true" || o.s.settings.patchForce
}

const createAttempts = 6

// awaitsAccount recognises the refusal of a Pod whose namespace is so new that its service account does not exist yet.
func awaitsAccount(err error) bool {
	return apierrors.IsForbidden(err) && containsText(err.Error(), "error looking up service account")
}

// createWithRetry gives a namespace or definition made at the same time up to a minute to appear.
func (o *operation) createWithRetry(ctx context.Context) (*unstructured.Unstructured, error) {
	pause := time.Second
	for attempt := 1; ; attempt++ {
		created, err := o.post(ctx)
		if err == nil {
			o.s.logStatus(diag.Info, o.urn, "")
			return created, nil
		}
		if apierrors.IsAlreadyExists(err) {
			return nil, explainExists(err, o.id())
		}
		transient := apierrors.IsNotFound(err) || isNoMatch(err) || awaitsAccount(err)
		if removed := deprecation(o.what.gvk, o.s.cluster.major, o.s.cluster.minor); isNoMatch(err) && containsText(removed, "was removed") {
			return nil, fmt.Errorf("%s: %w", removed, err)
		}
		if !transient || attempt > createAttempts {
			return nil, fmt.Errorf("creating %s %s: %w", o.what.gvk.Kind, o.id(), err)
		}
		o.s.logStatus(diag.Info, o.urn, fmt.Sprintf("Retry #%d; creation failed: %v", attempt, err))
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pause):
		}
		pause *= 2
	}
}
