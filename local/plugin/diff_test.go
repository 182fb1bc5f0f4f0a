package main

import (
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

func TestDetailedDiff(t *testing.T) {
	before := parse(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: x, labels: {keep: a, drop: b, "a.b/c": old}}
spec: {replicas: 1, template: {spec: {containers: [{name: c, image: one}]}}}`)
	after := parse(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: x, labels: {keep: a, "a.b/c": new}}
spec: {replicas: 1.0, paused: true, template: {spec: {containers: [{name: c, image: two}, {name: d}]}}}`)
	answer := diffOf(t, before, after, mutability{})
	want := map[string]pulumirpc.PropertyDiff_Kind{
		"metadata.labels.drop":                   pulumirpc.PropertyDiff_DELETE,
		`metadata.labels["a.b/c"]`:               pulumirpc.PropertyDiff_UPDATE,
		"spec.paused":                            pulumirpc.PropertyDiff_ADD,
		"spec.template.spec.containers[0].image": pulumirpc.PropertyDiff_UPDATE,
		"spec.template.spec.containers[1]":       pulumirpc.PropertyDiff_ADD,
	}
	if len(answer.GetDetailedDiff()) != len(want) {
		t.Errorf("got %v", answer.GetDetailedDiff())
	}
	for path, kind := range want {
		got := answer.GetDetailedDiff()[path]
		if got == nil || got.GetKind() != kind {
			t.Errorf("%s: got %v, expected %v", path, got, kind)
		} else if got.GetInputDiff() != (kind == pulumirpc.PropertyDiff_DELETE) {
			t.Errorf("%s: inputDiff is %v", path, got.GetInputDiff())
		}
	}
	if !answer.GetHasDetailedDiff() || len(answer.GetStables()) != 0 {
		t.Errorf("hasDetailedDiff %v, stables %v", answer.GetHasDetailedDiff(), answer.GetStables())
	}
}

func TestDiffIgnoresWhatOthersAdded(t *testing.T) {
	inputs := parse(t, "{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: default}, spec: {containers: [{name: c}], volumes: [{name: mine}]}}")
	live := parse(t, `
apiVersion: v1
kind: Pod
metadata: {name: x, namespace: default, uid: u, resourceVersion: "1"}
spec: {nodeName: n, containers: [{name: c, imagePullPolicy: Always}, {name: injected}], volumes: [{name: mine}, {name: token}]}
status: {phase: Running}`)
	answer, err := comparison{what: target{gvk: groupVersionKind(inputs)}, oldInputs: inputs, live: live, newInputs: inputs, namespaced: true}.answer()
	if err != nil || answer.GetChanges() != pulumirpc.DiffResponse_DIFF_NONE {
		t.Errorf("got %v, %v", answer, err)
	}
	live["spec"].(object)["volumes"].([]any)[0].(object)["name"] = "changed"
	answer, err = comparison{what: target{gvk: groupVersionKind(inputs)}, oldInputs: inputs, live: live, newInputs: inputs, namespaced: true}.answer()
	if err != nil || !sameStrings(answer.GetReplaces(), []string{"spec.volumes[0].name"}) {
		t.Errorf("drift in an own field: got %v, %v", answer, err)
	}
}

func TestDiffUnknownValues(t *testing.T) {
	before := parse(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {a: x}}")
	after := copyObject(before)
	after["data"] = object{"a": unknown{}, "b": unknown{}}
	answer := diffOf(t, before, after, mutability{})
	if answer.GetDetailedDiff()["data.a"].GetKind() != pulumirpc.PropertyDiff_UPDATE_REPLACE ||
		answer.GetDetailedDiff()["data.b"].GetKind() != pulumirpc.PropertyDiff_ADD_REPLACE {
		t.Errorf("got %v", answer.GetDetailedDiff())
	}
}

func TestDeleteBeforeReplace(t *testing.T) {
	named := func(name, value, annotations string) object {
		return parse(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: "+name+annotations+"}, data: {a: "+value+"}}")
	}
	auto := ", annotations: {pulumi.com/autonamed: 'true'}"
	cases := []struct {
		name          string
		before, after object
		want          bool
	}{
		{"same explicit name", named("x", "a", ""), named("x", "b", ""), true},
		{"another name", named("x", "a", ""), named("z", "b", ""), false},
		{"automatic name", named("x", "a", auto), named("x", "b", auto), false},
		{"no replacement", named("x", "a", ""), named("x", "a", ", labels: {l: v}"), false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := diffOf(t, c.before, c.after, mutability{}).GetDeleteBeforeReplace(); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestIgnoreChanges(t *testing.T) {
	before := parse(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, labels: {a: x}}, data: {a: x}}")
	after := parse(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, labels: {a: z}}, data: {a: z}}")
	if got := diffOf(t, before, after, mutability{}, "data").GetDetailedDiff(); len(got) != 1 || got["metadata.labels.a"] == nil {
		t.Errorf("got %v", got)
	}
	if got := diffOf(t, before, after, mutability{}, "data.*", `metadata["labels"].a`).GetChanges(); got != pulumirpc.DiffResponse_DIFF_NONE {
		t.Errorf("got %v", got)
	}
}
