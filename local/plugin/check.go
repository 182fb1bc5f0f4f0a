package main

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Check completes what the program wrote (name, namespace) and brings it into the API server's form.
func (s *server) Check(_ context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	urn := resource.URN(req.GetUrn())
	oldProps, err := unmarshal(req.GetOlds(), "old inputs")
	if err != nil {
		return nil, err
	}
	newProps, err := unmarshal(req.GetNews(), "inputs")
	if err != nil {
		return nil, err
	}
	if s.cluster.unreachable != nil && s.settings.skipUpdateUnreachable && len(oldProps) > 0 {
		s.log(diag.Warning, urn, "cluster unreachable, keeping the last inputs (skipUpdateUnreachable): %v", s.cluster.unreachable)
		return &pulumirpc.CheckResponse{Inputs: req.GetOlds()}, nil
	}
	written, old := plainMap(newProps), object(nil)
	if len(oldProps) > 0 {
		old = plainMap(oldProps)
	}
	what, err := targetOf(urn, written)
	if err != nil {
		return nil, err
	}
	if failure := s.refuse(what, written); failure != nil {
		return &pulumirpc.CheckResponse{Failures: []*pulumirpc.CheckFailure{failure}}, nil
	}
	s.warn(urn, what, written)
	inputs := copyObject(written)
	how := autonaming{resourceName: urn.Name(), seed: req.GetRandomSeed(), options: req.GetAutonaming()}
	if !what.patch {
		if err := assignName(inputs, old, how); err != nil {
			return failed("metadata.name", err.Error()), nil
		}
	}
	s.assignLabel(inputs, old)
	s.assignNamespace(what.gvk, inputs)
	inputs = forState(normalise(inputs))
	if what.gvk.Kind == "CustomResourceDefinition" {
		s.crds.learn(inputs)
	}
	marked := markSecrets(what.gvk, newProps, propertyMap(inputs))
	fields, err := marshal(marked, "checked inputs")
	if err != nil {
		return nil, err
	}
	return &pulumirpc.CheckResponse{Inputs: fields}, nil
}

func failed(property, reason string) *pulumirpc.CheckResponse {
	return &pulumirpc.CheckResponse{Failures: []*pulumirpc.CheckFailure{{Property: property, Reason: reason}}}
}

// refuse names what cannot be created whatever the cluster says.
func (s *server) refuse(what target, inputs object) *pulumirpc.CheckFailure {
	switch {
	case isListKind(what.gvk):
		return &pulumirpc.CheckFailure{Property: "kind", Reason: fmt.Sprintf(
			"%s is a collection, which Kubernetes cannot create as one object; declare each element as its own resource",
			what.gvk.Kind)}
	case what.patch && !s.settings.serverSideApply:
		return &pulumirpc.CheckFailure{Reason: what.gvk.Kind + "Patch needs server-side apply; set enableServerSideApply on the provider"}
	case what.patch && !isNamed(inputs):
		return &pulumirpc.CheckFailure{Property: "metadata.name", Reason: fmt.Sprintf(
			"%sPatch changes an existing object: set .metadata.name to that object's name", what.gvk.Kind)}
	case hasGenerateName(inputs) && !isNamed(inputs) && s.settings.serverSideApply:
		return &pulumirpc.CheckFailure{Property: "metadata.generateName", Reason: "generateName cannot be used with " +
			"server-side apply; leave the name out to get one from Pulumi, or set enableServerSideApply to false"}
	}
	if expression := annotation(inputs, annotationWaitFor); expression != "" {
		if _, err := parseWaitFor(expression); err != nil {
			return &pulumirpc.CheckFailure{Property: `metadata.annotations["` + annotationWaitFor + `"]`, Reason: err.Error()}
		}
	}
	if s.settings.rejectUnknown && s.cluster.unreachable == nil {
		if _, known := s.crds.find(what.gvk.GroupKind()); !known {
			if _, err := s.cluster.mapping(what.gvk); meta.IsNoMatchError(err) {
				return &pulumirpc.CheckFailure{Property: "kind", Reason: fmt.Sprintf(
					"the cluster serves no %s (rejectUnknownResources is set)", what.gvk)}
			}
		}
	}
	return nil
}

// lifecycle is implemented by the Go types of versions that Kubernetes has announced it will remove.
type lifecycle interface {
	APILifecycleDeprecated() (major, minor int)
	APILifecycleRemoved() (major, minor int)
}

type successor interface {
	APILifecycleReplacement() schema.GroupVersionKind
}

func (s *server) warn(urn resource.URN, what target, inputs object) {
	if isAutonamed(inputs) {
		s.log(diag.Warning, urn, "the annotation %s is set by Pulumi; remove it from the program", annotationAutonamed)
	}
	if s.settings.quietDeprecations || s.cluster.unreachable != nil {
		return
	}
	if text := deprecation(what.gvk, s.cluster.major, s.cluster.minor); text != "" {
		s.log(diag.Warning, urn, "%s", text)
	}
}

// deprecation describes a kind that the given Kubernetes release no longer serves or advises against.
func deprecation(gvk schema.GroupVersionKind, major, minor int) string {
	sample, err := builtin.New(gvk)
	if err != nil {
		return ""
	}
	typed, ok := sample.(lifecycle)
	if !ok {
		return ""
	}
	reached := func(m, n int) bool { return m > 0 && (major > m || major == m && minor >= n) }
	advice := ""
	if next, ok := sample.(successor); ok && next.APILifecycleReplacement().Kind != "" {
		replacement := next.APILifecycleReplacement()
		advice = fmt.Sprintf("; use %s %s", replacement.GroupVersion(), replacement.Kind)
	}
	if m, n := typed.APILifecycleRemoved(); reached(m, n) {
		return fmt.Sprintf("%s %s was removed in Kubernetes %d.%d%s", gvk.GroupVersion(), gvk.Kind, m, n, advice)
	}
	if m, n := typed.APILifecycleDeprecated(); reached(m, n) {
		return fmt.Sprintf("%s %s is deprecated since Kubernetes %d.%d%s", gvk.GroupVersion(), gvk.Kind, m, n, advice)
	}
	return ""
}

// assignLabel marks objects as managed by Pulumi where field managers do not (client-side apply), and keeps the mark
// on objects that had it.
func (s *server) assignLabel(inputs, old object) {
	had := textAt(old, "metadata", "labels", labelManagedBy) != ""
	if s.settings.serverSideApply && !had || old != nil && !had || !metadataKnown(inputs) {
		return
	}
	labels, present := at(inputs, "metadata", "labels").(object)
	if present || at(inputs, "metadata", "labels") == nil {
		if labels == nil {
			labels = ensureMap(ensureMap(inputs, "metadata"), "labels")
		}
		if _, chosen := labels[labelManagedBy]; !chosen {
			labels[labelManagedBy] = s.settings.managedBy
		}
	}
}

func (s *server) assignNamespace(gvk schema.GroupVersionKind, inputs object) {
	if current := at(inputs, "metadata", "namespace"); current != nil && current != "" || !metadataKnown(inputs) {
		return
	}
	if s.namespaced(gvk) {
		ensureMap(inputs, "metadata")["namespace"] = s.cluster.namespace
	}
}

// equalValue compares plain values the way Kubernetes does: 1 and 1.0 are the same number.
func equalValue(left, right any) bool {
	if a, ok := asNumber(left); ok {
		b, ok := asNumber(right)
		return ok && a == b
	}
	return reflect.DeepEqual(left, right)
}

func asNumber(value any) (float64, bool) {
	switch number := value.(type) {
	case int64:
		return float64(number), true
	case int:
		return float64(number), true
	case float64:
		return number, true
	default:
		return 0, false
	}
}

func joinLines(lines []string) string { return strings.Join(lines, "\n") }
