package main

import (
	"reflect"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestStateRoundTrip(t *testing.T) {
	configMap := schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	inputs := resource.PropertyMap{"data": resource.NewProperty(resource.PropertyMap{"a": resource.MakeSecret(resource.NewProperty("x"))})}
	live := object{"data": object{"a": "x", "n": int64(3), "f": 1.5}, "kind": "ConfigMap"}
	fields, err := state{inputs: inputs, live: live, initialAPIVersion: "v1", manager: "m"}.marshal(configMap)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readState(fields, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.live, live) || got.manager != "m" || got.initialAPIVersion != "v1" || !got.inputs["data"].ObjectValue()["a"].IsSecret() {
		t.Errorf("got %+v", got)
	}
}

func TestOlderStateForm(t *testing.T) {
	older, err := marshal(propertyMap(object{"inputs": object{"data": object{"a": "x"}}, "live": object{"kind": "ConfigMap"}}), "older state")
	if err != nil {
		t.Fatal(err)
	}
	got, err := readState(older, nil)
	if err != nil || !reflect.DeepEqual(got.live, object{"kind": "ConfigMap"}) || !reflect.DeepEqual(got.plainInputs(), object{"data": object{"a": "x"}}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestSchemaKeySpelling(t *testing.T) {
	dashed := parse(t, "{spec: {versions: [{schema: {x-kubernetes-list-type: map, x-kubernetes-unheard-of: 1}}]}}")
	stored := forState(dashed)
	if textAt(listAt(stored, "spec", "versions")[0], "schema", "x_kubernetes_list_type") != "map" {
		t.Errorf("got %v", stored)
	}
	if !reflect.DeepEqual(forCluster(stored), dashed) {
		t.Errorf("got %v", forCluster(stored))
	}
}

func TestImportedInputs(t *testing.T) {
	live := parse(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: x, namespace: n, uid: u, generation: 1, labels: {a: b}, annotations: {deployment.kubernetes.io/revision: "1"}}
spec: {replicas: 1}
status: {replicas: 1}`)
	got := importedInputs(target{gvk: groupVersionKind(live)}, live)
	if want := parse(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x, namespace: n, labels: {a: b}}, spec: {replicas: 1}}"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	custom := parse(t, "{apiVersion: x.io/v1, kind: Dog, metadata: {name: x, labels: {a: b}}, spec: {a: 1}}")
	if got := importedInputs(target{gvk: groupVersionKind(custom)}, custom); !reflect.DeepEqual(got, parse(t, "{apiVersion: x.io/v1, kind: Dog, metadata: {name: x}}")) {
		t.Errorf("got %v", got)
	}
}
