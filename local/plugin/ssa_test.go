package main

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func entry(manager string, operation metav1.ManagedFieldsOperationType, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{
		Manager: manager, Operation: operation, APIVersion: "v1", FieldsType: "FieldsV1",
		FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)},
	}
}

func TestMigratedFields(t *testing.T) {
	status := entry("pulumi-kubernetes", metav1.ManagedFieldsOperationUpdate, `{"f:status":{}}`)
	status.Subresource = "status"
	entries := []metav1.ManagedFieldsEntry{
		entry("pulumi-kubernetes", metav1.ManagedFieldsOperationUpdate, `{"f:data":{"f:a":{}}}`),
		entry("kubectl", metav1.ManagedFieldsOperationApply, `{"f:data":{"f:b":{}}}`),
		entry("ours", metav1.ManagedFieldsOperationApply, `{"f:data":{"f:c":{}}}`),
		entry("controller", metav1.ManagedFieldsOperationUpdate, `{"f:data":{"f:d":{}}}`),
		status,
	}
	got, changed, err := migratedFields(entries, "ours", "v1", time.Unix(0, 0))
	if err != nil || !changed || len(got) != 3 {
		t.Fatalf("got %v, %v, %v", got, changed, err)
	}
	if got[0].Manager != "controller" || got[1].Subresource != "status" {
		t.Errorf("other managers were touched: %v", got)
	}
	var fields, want any
	if json.Unmarshal(got[2].FieldsV1.Raw, &fields) != nil || json.Unmarshal([]byte(`{"f:data":{"f:a":{},"f:b":{},"f:c":{}}}`), &want) != nil {
		t.Fatal("fields are not JSON")
	}
	if !reflect.DeepEqual(fields, want) || got[2].Manager != "ours" || got[2].Operation != metav1.ManagedFieldsOperationApply {
		t.Errorf("got %s of %s", got[2].FieldsV1.Raw, got[2].Manager)
	}
	if _, changed, err := migratedFields(got, "ours", "v1", time.Unix(0, 0)); changed || err != nil {
		t.Errorf("a second migration changed something (%v)", err)
	}
}

func TestKeepIgnored(t *testing.T) {
	live := asUnstructured(parse(t, "{data: {mine: live, theirs: live, first: live}}"))
	live.SetManagedFields([]metav1.ManagedFieldsEntry{
		entry("ours", metav1.ManagedFieldsOperationApply, `{"f:data":{"f:mine":{}}}`),
		entry("pulumi-kubernetes", metav1.ManagedFieldsOperationUpdate, `{"f:data":{"f:first":{}}}`),
		entry("other", metav1.ManagedFieldsOperationUpdate, `{"f:data":{"f:theirs":{}}}`),
	})
	body := parse(t, "{data: {mine: new, theirs: new, first: new, gone: new, kept: new}}")
	if err := keepIgnored(body, live, []string{"data.mine", "data.theirs", "data.first", "data.gone", "spec.list[0]"}, "ours"); err != nil {
		t.Fatal(err)
	}
	if want := parse(t, "{data: {mine: live, first: live, kept: new}}"); !reflect.DeepEqual(body, want) {
		t.Errorf("got %v, expected %v", body, want)
	}
}

func TestExplainConflict(t *testing.T) {
	conflict := apierrors.NewApplyConflict([]metav1.StatusCause{{
		Type: metav1.CauseTypeFieldManagerConflict, Field: ".data.a", Message: `conflict with "kubectl" using v1`,
	}}, "Apply failed with 1 conflict")
	got := explainConflict(conflict, "ours").Error()
	for _, part := range []string{"server-side apply field conflict detected", ".data.a is owned by kubectl", `field manager "ours" had an apply conflict`, annotationForce} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is missing in %q", part, got)
		}
	}
	other := errors.New("other")
	if explainConflict(other, "ours") != other {
		t.Error("another error was changed")
	}
}
