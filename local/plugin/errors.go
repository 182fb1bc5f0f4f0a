package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil/rpcerror"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var errCancelled = errors.New("the operation was cancelled")

// waitError says why a wait ended without the object being ready, with what was seen about it.
type waitError struct {
	reason string
	issues []string
}

func (e *waitError) Error() string {
	if len(e.issues) == 0 {
		return e.reason
	}
	return e.reason + "\n" + joinLines(e.issues)
}

// reasons are what the engine stores and shows as a list: the headline first, then each single cause.
func reasons(err error) []string {
	return append([]string{firstLine(err)}, issuesOf(err)...)
}

// initFailed tells the engine that the object exists (and must stay in the state) although the operation failed.
func initFailed(id string, stored state, gvk schema.GroupVersionKind, withInputs bool, cause error) error {
	fields, err := stored.marshal(gvk)
	if err != nil {
		return errors.Join(cause, err)
	}
	detail := &pulumirpc.ErrorResourceInitFailed{Id: id, Properties: fields, Reasons: reasons(cause)}
	if withInputs {
		if detail.Inputs, err = marshal(stored.inputs, "inputs"); err != nil {
			return errors.Join(cause, err)
		}
	}
	return rpcerror.WithDetails(rpcerror.New(codes.Unknown, cause.Error()), detail)
}

// cancelledOr gives the cancellation text when a context ended an operation, the error itself otherwise.
func cancelledOr(ctx context.Context, name string, err error) error {
	if errors.Is(context.Cause(ctx), errCancelled) {
		return fmt.Errorf("Resource operation was cancelled for %q", name)
	}
	return err
}

const conflictHelp = "https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/managing-resources-with-server-side-apply/#handle-field-conflicts-on-existing-resources"

var ownerPattern = regexp.MustCompile(`conflicts? with "([^"]+)"`)

// explainConflict rewrites a server-side apply conflict so that it names who owns the fields and what can be done.
func explainConflict(err error, manager string) error {
	var status apierrors.APIStatus
	if !apierrors.IsConflict(err) || !errors.As(err, &status) {
		return err
	}
	details := status.Status().Details
	if details == nil {
		return err
	}
	var fields []string
	for _, cause := range details.Causes {
		if cause.Type == metav1.CauseTypeFieldManagerConflict {
			owner := ""
			if found := ownerPattern.FindStringSubmatch(cause.Message); found != nil {
				owner = " is owned by " + found[1]
			}
			fields = append(fields, "  "+cause.Field+owner)
		}
	}
	if len(fields) == 0 {
		return err
	}
	return fmt.Errorf("server-side apply field conflict detected. See %s for the ways to resolve it: take the field out "+
		"of the program, or take it over with the annotation %s: \"true\".\n%s\n"+
		"The resource managed by field manager %q had an apply conflict: %w",
		conflictHelp, annotationForce, strings.Join(fields, "\n"), manager, err)
}

func explainExists(err error, id string) error {
	return fmt.Errorf("%w\nAn object with this name is already there. To manage it with this resource, import it "+
		"(resource option import: %q); to change some of its fields only, use the Patch resource of its kind; after a "+
		"rename in the program, add an alias to the old resource; or set upsertExistingObjects on the provider", err, id)
}
