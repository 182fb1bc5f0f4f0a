package main

import (
	"reflect"
	"regexp"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestAssignName(t *testing.T) {
	unnamed := func() object { return object{"metadata": object{}} }
	named := object{"metadata": object{"name": "fixed"}}
	autonamed := object{"metadata": object{"name": "web-01234567", "annotations": object{annotationAutonamed: "true"}}}
	options := func(mode pulumirpc.CheckRequest_AutonamingOptions_Mode) *pulumirpc.CheckRequest_AutonamingOptions {
		return &pulumirpc.CheckRequest_AutonamingOptions{ProposedName: "proposed", Mode: mode}
	}
	cases := []struct {
		name        string
		inputs, old object
		how         autonaming
		want        string // pattern
		annotated   bool
	}{
		{"new", unnamed(), nil, autonaming{resourceName: "web"}, `^web-[0-9a-f]{8}$`, true},
		{"no metadata", object{}, nil, autonaming{resourceName: "web"}, `^web-[0-9a-f]{8}$`, true},
		{"proposed", unnamed(), nil, autonaming{options: options(pulumirpc.CheckRequest_AutonamingOptions_PROPOSE)}, `^proposed$`, true},
		{"enforced", unnamed(), nil, autonaming{options: options(pulumirpc.CheckRequest_AutonamingOptions_ENFORCE)}, `^proposed$`, true},
		{"kept", unnamed(), autonamed, autonaming{resourceName: "web"}, `^web-01234567$`, true},
		{"name taken away", unnamed(), named, autonaming{resourceName: "web"}, `^$`, false},
		{"explicit", copyObject(named), nil, autonaming{resourceName: "web"}, `^fixed$`, false},
		{"generateName", object{"metadata": object{"generateName": "g-"}}, nil, autonaming{resourceName: "web"}, `^$`, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if err := assignName(c.inputs, c.old, c.how); err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(c.want).MatchString(nameOf(c.inputs)) || isAutonamed(c.inputs) != c.annotated {
				t.Errorf("got %v", c.inputs)
			}
		})
	}
	if err := assignName(unnamed(), nil, autonaming{options: options(pulumirpc.CheckRequest_AutonamingOptions_DISABLE)}); err == nil {
		t.Error("disabled autonaming gave a name")
	}
	unknownName := object{"metadata": object{"name": unknown{}}}
	if err := assignName(unknownName, nil, autonaming{resourceName: "web"}); err != nil || isAutonamed(unknownName) {
		t.Errorf("a name that is not known yet counts as given; got %v, %v", unknownName, err)
	}
}

func TestNamesFollowTheSeed(t *testing.T) {
	first, second := object{}, object{}
	for _, inputs := range []object{first, second} {
		if err := assignName(inputs, nil, autonaming{resourceName: "web", seed: []byte("01234567890123456789012345678901")}); err != nil {
			t.Fatal(err)
		}
	}
	if nameOf(first) != nameOf(second) {
		t.Errorf("one seed gave %s and %s", nameOf(first), nameOf(second))
	}
}

func TestNormalise(t *testing.T) {
	cases := []struct{ name, written, want string }{
		{"quantities are canonical",
			"{apiVersion: v1, kind: Pod, spec: {containers: [{name: c, resources: {limits: {cpu: 1000m, memory: 1024Mi}}}]}}",
			"{apiVersion: v1, kind: Pod, spec: {containers: [{name: c, resources: {limits: {cpu: '1', memory: 1Gi}}}]}}"},
		{"unknown and empty fields vanish",
			"{apiVersion: v1, kind: Service, spec: {typo: 1, ports: [{port: 80}], externalName: ''}}",
			"{apiVersion: v1, kind: Service, spec: {ports: [{port: 80}]}}"},
		{"pointers to zero stay",
			"{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 0}}",
			"{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 0}}"},
		{"server fields vanish",
			"{apiVersion: v1, kind: Node, metadata: {name: x, uid: u, resourceVersion: '1', generation: 2, managedFields: []}}",
			"{apiVersion: v1, kind: Node, metadata: {name: x}}"},
		{"stringData is folded, and wins",
			"{apiVersion: v1, kind: Secret, data: {a: AA==, b: AQ==}, stringData: {b: hello}}",
			"{apiVersion: v1, kind: Secret, data: {a: AA==, b: aGVsbG8=}}"},
		{"wrong types are left to the server",
			"{apiVersion: v1, kind: Service, spec: {ports: nonsense, typo: 1}}",
			"{apiVersion: v1, kind: Service, spec: {ports: nonsense, typo: 1}}"},
		{"custom kinds stay as written",
			"{apiVersion: example.com/v1, kind: Thing, spec: {empty: '', limit: 1000m}}",
			"{apiVersion: example.com/v1, kind: Thing, spec: {empty: '', limit: 1000m}}"},
		{"definitions lose status and the old default",
			"{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, spec: {preserveUnknownFields: false, group: g}, status: {a: 1}}",
			"{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, spec: {group: g}}"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			written := parse(t, c.written)
			if got, want := normalise(written), parse(t, c.want); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
			if !reflect.DeepEqual(written, parse(t, c.written)) {
				t.Error("the inputs were changed")
			}
		})
	}
	secret := parse(t, "{apiVersion: v1, kind: Secret}")
	secret["stringData"] = object{"a": unknown{}, "b": "x"}
	if got := normalise(secret)["data"]; !reflect.DeepEqual(got, object{"a": unknown{}, "b": "eA=="}) {
		t.Errorf("unknown secret entries: got %v", got)
	}
}

func TestMarkSecrets(t *testing.T) {
	secretKind, mapKind := schema.GroupVersionKind{Version: "v1", Kind: "Secret"}, schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	text := resource.NewProperty[string]
	hide := resource.MakeSecret
	of := func(fields resource.PropertyMap) resource.PropertyValue { return resource.NewProperty(fields) }
	inputs := resource.PropertyMap{
		"data":     of(resource.PropertyMap{"hidden": hide(text("x")), "open": text("y")}),
		"list":     resource.NewProperty([]resource.PropertyValue{text("a"), hide(text("b"))}),
		"metadata": of(resource.PropertyMap{"annotations": of(resource.PropertyMap{"note": hide(text("n"))})}),
	}
	live := propertyMap(object{
		"data": object{"hidden": "x", "open": "y", "added": "z"}, "list": []any{"a", "b"},
		"metadata": object{"annotations": object{"note": "n", annotationLastApplied: "{}"}},
	})
	marked := markSecrets(mapKind, inputs, live)
	data := marked["data"].ObjectValue()
	if !data["hidden"].IsSecret() || data["open"].IsSecret() || data["added"].IsSecret() || !marked["list"].IsSecret() {
		t.Errorf("ConfigMap: got %v", marked)
	}
	marked = markSecrets(secretKind, inputs, live)
	annotations := marked["metadata"].ObjectValue()["annotations"].ObjectValue()
	if !marked["data"].IsSecret() || !annotations["note"].IsSecret() || !annotations[annotationLastApplied].IsSecret() {
		t.Errorf("Secret: got %v", marked)
	}
}

func TestTargetOf(t *testing.T) {
	urn := func(kind string) resource.URN { return resource.URN("urn:pulumi:s::p::kubernetes:" + kind + "::n") }
	cases := []struct {
		urn    resource.URN
		inputs object
		want   target
	}{
		{urn("core/v1:Pod"), nil, target{gvk: schema.GroupVersionKind{Version: "v1", Kind: "Pod"}}},
		{urn("apps/v1:Deployment"), nil, target{gvk: schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}}},
		{urn("core/v1:ConfigMapPatch"), object{"apiVersion": "v1", "kind": "ConfigMap"}, target{gvk: schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, patch: true}},
		{urn("x.io/v1:DogPatch"), object{"apiVersion": "x.io/v1", "kind": "DogPatch"}, target{gvk: schema.GroupVersionKind{Group: "x.io", Version: "v1", Kind: "DogPatch"}}},
	}
	for _, c := range cases {
		if got, err := targetOf(c.urn, c.inputs); err != nil || got != c.want {
			t.Errorf("%s: got %v, %v", c.urn, got, err)
		}
	}
	if _, err := targetOf("urn:pulumi:s::p::aws:s3:Bucket::n", nil); err == nil {
		t.Error("a type of another plugin was accepted")
	}
	if !isListKind(schema.GroupVersionKind{Version: "v1", Kind: "PodList"}) || isListKind(schema.GroupVersionKind{Group: "x.io", Version: "v1", Kind: "AllowList"}) {
		t.Error("list kinds")
	}
}

func TestDeprecation(t *testing.T) {
	budget := schema.GroupVersionKind{Group: "policy", Version: "v1beta1", Kind: "PodDisruptionBudget"}
	if got := deprecation(budget, 1, 34); got != "policy/v1beta1 PodDisruptionBudget was removed in Kubernetes 1.25; use policy/v1 PodDisruptionBudget" {
		t.Errorf("got %q", got)
	}
	if got := deprecation(budget, 1, 20); got != "" {
		t.Errorf("before its deprecation: got %q", got)
	}
}
