package main

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

type changeKind int

const (
	changeAdd changeKind = iota
	changeUpdate
	changeDelete
)

// change is one difference between what a program wants and what the cluster was last seen to have.
type change struct {
	path  []any // string keys and int indexes
	kind  changeKind
	after any // nil for a deletion
}

// compare lists the differences from base to wanted. A subtree that is new or gone as a whole is one change.
func compare(base, wanted any, path []any) []change {
	switch after := wanted.(type) {
	case unknown:
		return []change{{path, changeUpdate, after}}
	case object:
		if before, ok := base.(object); ok {
			return compareMaps(before, after, path)
		}
	case []any:
		if before, ok := base.([]any); ok {
			return compareLists(before, after, path)
		}
	}
	if equalValue(base, wanted) {
		return nil
	}
	return []change{{path, changeUpdate, wanted}}
}

func compareMaps(before, after object, path []any) []change {
	var changes []change
	for _, key := range sortedKeys(before, after) {
		old, had := before[key]
		now, has := after[key]
		inner := append(append([]any{}, path...), key)
		switch {
		case had && has:
			changes = append(changes, compare(old, now, inner)...)
		case has:
			changes = append(changes, change{inner, changeAdd, now})
		default:
			changes = append(changes, change{inner, changeDelete, nil})
		}
	}
	return changes
}

func compareLists(before, after []any, path []any) []change {
	var changes []change
	for i := range max(len(before), len(after)) {
		inner := append(append([]any{}, path...), i)
		switch {
		case i >= len(before):
			changes = append(changes, change{inner, changeAdd, after[i]})
		case i >= len(after):
			changes = append(changes, change{inner, changeDelete, nil})
		default:
			changes = append(changes, compare(before[i], after[i], inner)...)
		}
	}
	return changes
}

func sortedKeys(maps ...object) []string {
	seen := map[string]bool{}
	var keys []string
	for _, fields := range maps {
		for key := range fields {
			if !seen[key] {
				seen[key] = true
				keys = append(keys, key)
			}
		}
	}
	sort.Strings(keys)
	return keys
}

// pathText writes a path as Pulumi does: spec.containers[0].image, with unusual keys in ["..."].
func pathText(path []any) string {
	var text strings.Builder
	for _, step := range path {
		switch key := step.(type) {
		case int:
			fmt.Fprintf(&text, "[%d]", key)
		case string:
			if strings.ContainsAny(key, `."[]`) {
				fmt.Fprintf(&text, `[%s]`, strconv.Quote(key))
				continue
			}
			if text.Len() > 0 {
				text.WriteByte('.')
			}
			text.WriteString(key)
		}
	}
	return text.String()
}

// without removes the changes that the program asked to ignore.
func without(changes []change, ignored []string) ([]change, error) {
	var patterns []resource.PropertyPath
	for _, text := range ignored {
		pattern, err := resource.ParsePropertyPath(text)
		if err != nil {
			return nil, fmt.Errorf("ignoreChanges path %q: %w", text, err)
		}
		patterns = append(patterns, pattern)
	}
	var kept []change
	for _, c := range changes {
		hidden := false
		for _, pattern := range patterns {
			hidden = hidden || pattern.Contains(resource.PropertyPath(c.path))
		}
		if !hidden {
			kept = append(kept, c)
		}
	}
	return kept, nil
}

// comparison is what Diff works on: plain old inputs, live state and new inputs of one object.
type comparison struct {
	what            target
	oldInputs, live object
	newInputs       object
	namespaced      bool
	may             mutability
	ignored         []string
}

func (c comparison) answer() (*pulumirpc.DiffResponse, error) {
	base, wanted := prune(c.live, c.oldInputs).(object), copyObject(c.newInputs)
	base = copyObject(base)
	for _, side := range []object{base, wanted} {
		if !metadataKnown(side) {
			continue
		}
		metadata := ensureMap(side, "metadata")
		delete(metadata, "resourceVersion")
		if !c.namespaced {
			delete(metadata, "namespace")
		} else if current := metadata["namespace"]; current == nil || current == "" {
			metadata["namespace"] = "default"
		}
	}
	changes, err := without(compare(base, wanted, nil), c.ignored)
	if err != nil {
		return nil, err
	}
	answer := &pulumirpc.DiffResponse{
		Changes: pulumirpc.DiffResponse_DIFF_NONE, DetailedDiff: map[string]*pulumirpc.PropertyDiff{}, HasDetailedDiff: true,
	}
	fields := replaceFields(c.what.gvk, c.what.patch, c.may)
	top := map[string]bool{}
	for _, each := range changes {
		answer.Changes = pulumirpc.DiffResponse_DIFF_SOME
		text, replace := pathText(each.path), forcesReplacement(each, fields)
		answer.DetailedDiff[text] = propertyDiff(each.kind, replace)
		if key := fmt.Sprint(each.path[0]); !top[key] {
			top[key] = true
			answer.Diffs = append(answer.Diffs, key)
		}
		if replace {
			answer.Replaces = append(answer.Replaces, text)
		}
	}
	answer.DeleteBeforeReplace = len(answer.Replaces) > 0 && c.sameName(base, wanted)
	return answer, nil
}

// sameName is true when the replacement would collide with the object it replaces.
func (c comparison) sameName(base, wanted object) bool {
	return isNamed(wanted) && !isAutonamed(wanted) && equalValue(at(wanted, "metadata", "name"), at(c.live, "metadata", "name")) &&
		equalValue(at(wanted, "metadata", "namespace"), at(base, "metadata", "namespace"))
}

func propertyDiff(kind changeKind, replace bool) *pulumirpc.PropertyDiff {
	kinds := map[changeKind][2]pulumirpc.PropertyDiff_Kind{
		changeAdd:    {pulumirpc.PropertyDiff_ADD, pulumirpc.PropertyDiff_ADD_REPLACE},
		changeUpdate: {pulumirpc.PropertyDiff_UPDATE, pulumirpc.PropertyDiff_UPDATE_REPLACE},
		changeDelete: {pulumirpc.PropertyDiff_DELETE, pulumirpc.PropertyDiff_DELETE_REPLACE},
	}
	picked := kinds[kind][0]
	if replace {
		picked = kinds[kind][1]
	}
	return &pulumirpc.PropertyDiff{Kind: picked, InputDiff: kind == changeDelete}
}

// Diff compares new inputs with the state last seen; the cluster is asked only for replaceUnready.
func (s *server) Diff(ctx context.Context, req *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	ctx, done := s.operation(ctx)
	defer done()
	urn := resource.URN(req.GetUrn())
	stored, err := readState(req.GetOlds(), req.GetOldInputs())
	if err != nil {
		return nil, err
	}
	newProps, err := unmarshal(req.GetNews(), "new inputs")
	if err != nil {
		return nil, err
	}
	newInputs := plainMap(newProps)
	what, err := targetOf(urn, newInputs)
	if err != nil {
		return nil, err
	}
	answer, err := comparison{
		what: what, oldInputs: stored.plainInputs(), live: stored.live, newInputs: newInputs,
		namespaced: s.namespaced(what.gvk), ignored: req.GetIgnoreChanges(),
		may: mutability{
			configMap: s.settings.configMapMutable, secret: s.settings.secretMutable,
			immutable: at(newInputs, "immutable") == true,
		},
	}.answer()
	if err != nil {
		return nil, err
	}
	return answer, s.replaceUnready(ctx, urn, what, req.GetId(), newInputs, answer)
}

// replaceUnready replaces a Job that has not completed, when its annotation asks for that.
func (s *server) replaceUnready(
	ctx context.Context, urn resource.URN, what target, id string, newInputs object, answer *pulumirpc.DiffResponse,
) error {
	if annotation(newInputs, annotationReplace) != "true" {
		return nil
	}
	if what.gvk.Group != "batch" || what.gvk.Kind != "Job" {
		s.log(diag.Warning, urn, "the annotation %s works on Jobs only", annotationReplace)
		return nil
	}
	if s.cluster.unreachable != nil {
		return nil
	}
	namespace, name := splitID(id)
	live, err := s.cluster.get(ctx, what.gvk, namespace, name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading Job %s for %s: %w", id, annotationReplace, err)
	}
	if condition(live.Object, "Complete") == "True" {
		return nil
	}
	key := pathText([]any{"metadata", "annotations", annotationReplace})
	answer.Changes = pulumirpc.DiffResponse_DIFF_SOME
	answer.Replaces = append(answer.Replaces, key)
	answer.DetailedDiff[key] = propertyDiff(changeUpdate, true)
	answer.DeleteBeforeReplace = isNamed(newInputs) && !isAutonamed(newInputs) &&
		nameOf(newInputs) == name && namespaceOf(newInputs) == namespace
	return nil
}
