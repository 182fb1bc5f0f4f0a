package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Delete removes the object and waits until it is gone. A Patch gives up the fields it owns instead.
func (s *server) Delete(ctx context.Context, req *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	ctx, done := s.operation(ctx)
	defer done()
	urn := resource.URN(req.GetUrn())
	stored, err := readState(req.GetProperties(), req.GetOldInputs())
	if err != nil {
		return nil, err
	}
	inputs := stored.plainInputs()
	what, err := targetOf(urn, inputs)
	if err != nil {
		return nil, err
	}
	if s.cluster.unreachable != nil {
		s.log(diag.Warning, urn, "configured Kubernetes cluster is unreachable: %v", s.cluster.unreachable)
		if s.settings.deleteUnreachable {
			return &emptypb.Empty{}, nil
		}
		return nil, fmt.Errorf("%w\nIf the cluster no longer exists, set PULUMI_K8S_DELETE_UNREACHABLE=true (or "+
			"deleteUnreachable on the provider) to forget its resources", unreachableError(s.cluster.unreachable))
	}
	o := &operation{s: s, urn: urn, what: what, inputs: inputs, marked: stored.inputs, timeout: seconds(req.GetTimeout()), manager: stored.manager}
	if what.patch {
		return &emptypb.Empty{}, o.releasePatch(ctx)
	}
	if err := o.remove(ctx, req.GetId()); err != nil {
		var wait *waitError
		if !errors.As(err, &wait) {
			return nil, err
		}
		namespace, name := splitID(req.GetId())
		if live, readErr := s.cluster.get(context.WithoutCancel(ctx), what.gvk, namespace, name); readErr == nil {
			stored.live = live.Object
		}
		return nil, initFailed(req.GetId(), stored, what.gvk, false, err)
	}
	return &emptypb.Empty{}, nil
}

func (o *operation) releasePatch(ctx context.Context) error {
	client, err := o.s.cluster.client(o.what.gvk, namespaceOf(o.inputs))
	if err != nil {
		return err
	}
	if _, err := client.Get(ctx, o.name(), metav1.GetOptions{}); apierrors.IsNotFound(err) {
		return nil
	}
	err = o.release(ctx, client, o.manager)
	if apierrors.IsInvalid(err) {
		return fmt.Errorf("giving up the fields of %s would leave the object without a required one: keep them with the "+
			"resource option retainOnDelete: %w", o.id(), err)
	}
	return err
}

// pollEvery is how often a deletion that cannot be watched is asked about.
const pollEvery = 2 * time.Second

// propagation is how dependents of a deleted object are treated; the default waits for them.
func propagation(inputs object) metav1.DeletionPropagation {
	switch strings.ToLower(annotation(inputs, annotationPropagation)) {
	case "orphan":
		return metav1.DeletePropagationOrphan
	case "background":
		return metav1.DeletePropagationBackground
	default:
		return metav1.DeletePropagationForeground
	}
}

// quickDelete lists the kinds whose removal is not waited for under skipAwait.
var quickDelete = map[string]bool{
	"Namespace": true, "Pod": true, "ReplicationController": true, "DaemonSet": true, "Deployment": true,
	"StatefulSet": true, "Job": true,
}

func (o *operation) remove(ctx context.Context, id string) error {
	namespace, name := splitID(id)
	client, err := o.s.cluster.client(o.what.gvk, namespace)
	if isNoMatch(err) {
		return nil
	}
	if err != nil {
		return err
	}
	live, err := client.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s %s before deleting it: %w", o.what.gvk.Kind, id, err)
	}
	policy := propagation(o.inputs)
	err = client.Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &policy})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("deleting %s %s: %w", o.what.gvk.Kind, id, err)
	}
	if o.what.gvk.Kind == "CustomResourceDefinition" {
		defer o.s.cluster.forget()
	}
	if annotation(o.inputs, annotationSkipAwait) == "true" && quickDelete[o.what.gvk.Kind] {
		return nil
	}
	return o.awaitGone(ctx, live, id)
}

func (o *operation) awaitGone(ctx context.Context, live *unstructured.Unstructured, id string) error {
	limit := o.limit(0)
	w, err := o.watch(ctx, live, nil)
	if err != nil {
		return err
	}
	defer w.close()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	o.s.logStatus(diag.Info, o.urn, "Resource scheduled for deletion")
	for {
		current, seen := w.self(), w.synced()
		if seen && (current == nil || current.GetUID() != live.GetUID()) {
			o.s.logStatus(diag.Info, o.urn, "")
			return nil
		}
		select {
		case <-w.changed:
		case <-poll.C:
			// Without permission to watch, asking from time to time has to do.
			if !seen {
				if gone, err := o.isGone(ctx, live); gone || err != nil {
					return err
				}
			}
		case <-ctx.Done():
			return &waitError{reason: cancelledOr(ctx, id, context.Cause(ctx)).Error()}
		case <-timer.C:
			return o.stillThere(current, id, limit)
		}
	}
}

func (o *operation) isGone(ctx context.Context, live *unstructured.Unstructured) (bool, error) {
	current, err := o.s.cluster.get(ctx, o.what.gvk, live.GetNamespace(), live.GetName())
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("waiting for %s to be deleted: %w", live.GetName(), err)
	}
	return current.GetUID() != live.GetUID(), nil
}

func (o *operation) stillThere(current *unstructured.Unstructured, id string, limit time.Duration) error {
	var finalizers []string
	if current != nil {
		finalizers = current.GetFinalizers()
		for _, each := range listAt(current.Object, "spec", "finalizers") {
			finalizers = append(finalizers, fmt.Sprint(each))
		}
	}
	issues := []string{fmt.Sprintf("%s %s is still there after %s", o.what.gvk.Kind, id, limit)}
	if len(finalizers) > 0 {
		issues = append(issues, fmt.Sprintf("finalizers that may hold it: %s", strings.Join(finalizers, ", ")))
		o.s.log(diag.Warning, o.urn, "finalizers might be preventing deletion (%s)", strings.Join(finalizers, ", "))
	}
	for _, each := range listAt(currentObject(current), "status", "conditions") {
		if textAt(each, "status") == "True" && textAt(each, "message") != "" {
			issues = append(issues, textAt(each, "reason")+": "+textAt(each, "message"))
		}
	}
	return &waitError{reason: fmt.Sprintf("deleting %s: timed out waiting for the condition", id), issues: issues}
}

func currentObject(current *unstructured.Unstructured) object {
	if current == nil {
		return nil
	}
	return current.Object
}
