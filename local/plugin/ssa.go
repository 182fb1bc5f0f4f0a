package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// earlierManagers are the names under which Pulumi and kubectl wrote objects before server-side apply; the fields they
// own are moved to our manager so that removing one from the program removes it from the object.
var earlierManagers = map[string][]metav1.ManagedFieldsOperationType{
	"kubectl":                    {metav1.ManagedFieldsOperationApply, metav1.ManagedFieldsOperationUpdate},
	"before-first-apply":         {metav1.ManagedFieldsOperationUpdate},
	"pulumi-kubernetes":          {metav1.ManagedFieldsOperationUpdate},
	"pulumi-kubernetes.exe":      {metav1.ManagedFieldsOperationUpdate},
	"pulumi-resource-kubernetes": {metav1.ManagedFieldsOperationUpdate},
}

func isEarlier(entry metav1.ManagedFieldsEntry) bool {
	if entry.Subresource != "" {
		return false
	}
	for _, operation := range earlierManagers[entry.Manager] {
		if operation == entry.Operation {
			return true
		}
	}
	return false
}

func hasEarlier(live *unstructured.Unstructured) bool {
	for _, entry := range live.GetManagedFields() {
		if isEarlier(entry) {
			return true
		}
	}
	return false
}

// apply sends one server-side apply request.
func (o *operation) apply(ctx context.Context, client dynamic.ResourceInterface, body object, force bool) (*unstructured.Unstructured, error) {
	data, err := asUnstructured(body).MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", o.id(), err)
	}
	applied, err := client.Patch(ctx, nameOf(body), types.ApplyPatchType, data, metav1.PatchOptions{
		FieldManager: o.manager, Force: &force, DryRun: dryRun(o.preview),
	})
	return applied, explainConflict(err, o.manager)
}

// migratedFields unites the fields of earlier managers with those of ours; changed is false when there are none.
func migratedFields(entries []metav1.ManagedFieldsEntry, manager, apiVersion string, now time.Time) (result []metav1.ManagedFieldsEntry, changed bool, err error) {
	owned := fieldpath.NewSet()
	version := apiVersion
	for _, entry := range entries {
		ours := entry.Manager == manager && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == ""
		if !ours && !isEarlier(entry) {
			result = append(result, entry)
			continue
		}
		changed = changed || isEarlier(entry) && !ours
		if entry.FieldsV1 == nil {
			continue
		}
		fields := fieldpath.NewSet()
		if err := fields.FromJSON(bytes.NewReader(entry.FieldsV1.Raw)); err != nil {
			return nil, false, fmt.Errorf("reading the fields owned by %s: %w", entry.Manager, err)
		}
		owned = owned.Union(fields)
		if ours {
			version = entry.APIVersion
		}
	}
	if !changed {
		return entries, false, nil
	}
	raw, err := owned.ToJSON()
	if err != nil {
		return nil, false, fmt.Errorf("writing the fields owned by %s: %w", manager, err)
	}
	stamp := metav1.NewTime(now)
	return append(result, metav1.ManagedFieldsEntry{
		Manager: manager, Operation: metav1.ManagedFieldsOperationApply, APIVersion: version, Time: &stamp,
		FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: raw},
	}), true, nil
}

// migrate moves field ownership to our manager on the server. A status write in between is no reason to fail.
func (o *operation) migrate(ctx context.Context, client dynamic.ResourceInterface, live *unstructured.Unstructured) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		entries, changed, err := migratedFields(live.GetManagedFields(), o.manager, live.GetAPIVersion(), time.Now())
		if err != nil || !changed {
			return err
		}
		patch, err := json.Marshal([]object{
			{"op": "replace", "path": "/metadata/managedFields", "value": entries},
			{"op": "replace", "path": "/metadata/resourceVersion", "value": live.GetResourceVersion()},
		})
		if err != nil {
			return fmt.Errorf("encoding field ownership: %w", err)
		}
		_, err = client.Patch(ctx, live.GetName(), types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: o.manager})
		if apierrors.IsConflict(err) {
			if fresh, readErr := client.Get(ctx, live.GetName(), metav1.GetOptions{}); readErr == nil {
				live = fresh
			}
		}
		return err
	})
}

// release gives up everything a manager owns on an object, by applying nothing but its identity.
func (o *operation) release(ctx context.Context, client dynamic.ResourceInterface, manager string) error {
	identity := object{
		"apiVersion": textAt(o.inputs, "apiVersion"), "kind": textAt(o.inputs, "kind"),
		"metadata": object{"name": o.name()},
	}
	if namespace := namespaceOf(o.inputs); namespace != "" {
		identity["metadata"].(object)["namespace"] = namespace
	}
	data, err := json.Marshal(identity)
	if err != nil {
		return fmt.Errorf("encoding the identity of %s: %w", o.id(), err)
	}
	force := true
	_, err = client.Patch(ctx, o.name(), types.ApplyPatchType, data, metav1.PatchOptions{FieldManager: manager, Force: &force})
	return err
}

// keepIgnored adapts an apply request to ignoreChanges: a field that only others own is left to them, any other keeps
// the value it has now. Paths through list indexes cannot be expressed in an apply request and are left alone.
func keepIgnored(body object, live *unstructured.Unstructured, ignored []string, manager string) error {
	others, ours, err := ownership(live, manager)
	if err != nil {
		return err
	}
	for _, text := range ignored {
		keys, ok := plainKeys(text)
		if !ok {
			continue
		}
		path := make(fieldpath.Path, 0, len(keys))
		for i := range keys {
			path = append(path, fieldpath.PathElement{FieldName: &keys[i]})
		}
		value := at(live.Object, keys...)
		if value == nil || ownsAny(others, path) && !ownsAny(ours, path) {
			removeAt(body, keys)
			continue
		}
		setAt(body, keys, copyPlain(value))
	}
	return nil
}

// ownership splits the fields of an object into those of other managers and those of ours, under any name we had.
func ownership(live *unstructured.Unstructured, manager string) (others, ours *fieldpath.Set, err error) {
	others, ours = fieldpath.NewSet(), fieldpath.NewSet()
	for _, entry := range live.GetManagedFields() {
		if entry.FieldsV1 == nil || entry.Subresource != "" {
			continue
		}
		fields := fieldpath.NewSet()
		if err := fields.FromJSON(bytes.NewReader(entry.FieldsV1.Raw)); err != nil {
			return nil, nil, fmt.Errorf("reading the fields owned by %s: %w", entry.Manager, err)
		}
		if entry.Manager == manager || isEarlier(entry) {
			ours = ours.Union(fields)
		} else {
			others = others.Union(fields)
		}
	}
	return others, ours, nil
}

func ownsAny(set *fieldpath.Set, path fieldpath.Path) bool {
	found := false
	set.Iterate(func(member fieldpath.Path) {
		if !found && len(member) >= len(path) && member[:len(path)].Equals(path) {
			found = true
		}
	})
	return found
}

func removeAt(body object, keys []string) {
	parent := body
	if len(keys) > 1 {
		parent = mapAt(body, keys[:len(keys)-1]...)
	}
	delete(parent, keys[len(keys)-1])
}

func setAt(body object, keys []string, value any) {
	for _, key := range keys[:len(keys)-1] {
		body = ensureMap(body, key)
	}
	body[keys[len(keys)-1]] = value
}

func containsText(text string, parts ...string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}
