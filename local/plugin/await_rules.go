package main

import (
	"fmt"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Names under which rules find related objects.
const (
	podsName        = "pods"
	replicaSetsName = "replica sets"
	claimsName      = "claims"
	classesName     = "storage classes"
	servicesName    = "services"
	slicesName      = "endpoint slices"
)

var (
	podKind        = schema.GroupVersionKind{Version: "v1", Kind: "Pod"}
	claimKind      = schema.GroupVersionKind{Version: "v1", Kind: "PersistentVolumeClaim"}
	serviceKind    = schema.GroupVersionKind{Version: "v1", Kind: "Service"}
	replicaSetKind = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "ReplicaSet"}
	sliceKind      = schema.GroupVersionKind{Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice"}
	classKind      = schema.GroupVersionKind{Group: "storage.k8s.io", Version: "v1", Kind: "StorageClass"}
)

func nothingElse(object) ([]watchSpec, error) { return nil, nil }

// builtinRule finds the rule of a kind; nil for kinds that are ready once accepted.
func builtinRule(gvk schema.GroupVersionKind) *rule {
	switch gvk.Group {
	case "":
		return coreRule(gvk.Kind)
	case "apps":
		switch gvk.Kind {
		case "Deployment":
			return &rule{readCheck: true, needs: deploymentNeeds, judge: judgeDeployment}
		case "StatefulSet":
			return &rule{readCheck: true, needs: podsOf, judge: judgeStatefulSet}
		case "DaemonSet":
			return &rule{readCheck: true, needs: podsOf, judge: judgeDaemonSet}
		}
	case "batch":
		if gvk.Kind == "Job" {
			return &rule{readCheck: true, needs: jobNeeds, judge: judgeJob}
		}
	case "apiextensions.k8s.io":
		if gvk.Kind == "CustomResourceDefinition" {
			return &rule{limit: time.Minute, needs: nothingElse, judge: judgeDefinition}
		}
	case "networking.k8s.io", "extensions":
		if gvk.Kind == "Ingress" {
			return &rule{readCheck: true, needs: ingressNeeds, judge: judgeIngress}
		}
	}
	return nil
}

func coreRule(kind string) *rule {
	switch kind {
	case "Pod":
		return &rule{readCheck: true, needs: nothingElse, judge: judgePod}
	case "Service":
		return &rule{readCheck: true, needs: serviceNeeds, judge: judgeService}
	case "PersistentVolumeClaim":
		return &rule{limit: 5 * time.Minute, needs: claimNeeds, judge: judgeClaim}
	case "PersistentVolume":
		return &rule{limit: 5 * time.Minute, needs: nothingElse, judge: judgeVolume}
	case "ReplicationController":
		return &rule{limit: 10 * time.Minute, needs: podsOf, judge: judgeReplicationController}
	case "ResourceQuota":
		return &rule{limit: time.Minute, needs: nothingElse, judge: judgeQuota}
	case "Secret":
		return &rule{limit: 5 * time.Second, needs: nothingElse, judge: judgeSecret}
	default:
		return nil
	}
}

// generalRule is kstatus, which knows the conventions that most kinds follow.
func generalRule() *rule { return &rule{needs: nothingElse, judge: judgeGeneral} }

// judgeDefinition waits for the API server to serve the new kind, so that its objects need no retries.
func judgeDefinition(f facts) verdict {
	for _, kind := range []string{"NamesAccepted", "Established"} {
		if state := conditionOf(f.self, kind); textAt(state, "status") != "True" {
			return verdict{issues: []string{fmt.Sprintf("the definition is not %s%s", kind, because(state))}}
		}
	}
	return verdict{ready: true}
}

func judgeGeneral(f facts) verdict {
	result, err := status.Compute(asUnstructured(f.self))
	if err != nil {
		return verdict{fatal: fmt.Sprintf("reading the status: %v", err)}
	}
	if result.Status == status.CurrentStatus {
		return verdict{ready: true}
	}
	return verdict{status: result.Message, issues: []string{fmt.Sprintf("%s: %s", result.Status, result.Message)}}
}

// condition is the status (True, False, Unknown) of a condition, or "".
func condition(plain any, kind string) string {
	return textAt(conditionOf(plain, kind), "status")
}

func conditionOf(plain any, kind string) any {
	for _, each := range listAt(plain, "status", "conditions") {
		if textAt(each, "type") == kind {
			return each
		}
	}
	return nil
}

// observed is true when the controller has seen the latest version of the object.
func observed(self object) bool {
	return numberAt(self, 0, "status", "observedGeneration") >= numberAt(self, 0, "metadata", "generation")
}

func selectorText(self object, path ...string) (string, error) {
	fields := mapAt(self, path...)
	if fields == nil {
		return "", nil
	}
	var selector metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &selector); err != nil {
		return "", fmt.Errorf("reading the selector of %s: %w", nameOf(self), err)
	}
	parsed, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil {
		return "", fmt.Errorf("reading the selector of %s: %w", nameOf(self), err)
	}
	return parsed.String(), nil
}

// podsOf watches the pods that a workload selects.
func podsOf(self object) ([]watchSpec, error) {
	selector := ""
	if textAt(self, "kind") == "ReplicationController" {
		parsed, err := selectorText(object{"s": object{"matchLabels": at(self, "spec", "selector")}}, "s")
		if err != nil {
			return nil, err
		}
		selector = parsed
	} else {
		parsed, err := selectorText(self, "spec", "selector")
		if err != nil {
			return nil, err
		}
		selector = parsed
	}
	return []watchSpec{{name: podsName, gvk: podKind, namespace: namespaceOf(self), labels: selector}}, nil
}

func uid(plain object) string { return textAt(plain, "metadata", "uid") }

// ownerUID is the controller of an object.
func ownerUID(plain object) string {
	for _, each := range listAt(plain, "metadata", "ownerReferences") {
		if at(each, "controller") == true {
			return textAt(each, "uid")
		}
	}
	return ""
}

// ownedPods are the pods that belong to a workload, directly or through its current ReplicaSet.
func ownedPods(self object, pods, replicaSets []object) []object {
	owner := uid(self)
	if textAt(self, "kind") == "Deployment" {
		current := currentReplicaSet(self, replicaSets)
		if current == nil {
			return nil
		}
		owner = uid(current)
	}
	if textAt(self, "kind") == "Pod" {
		return []object{self}
	}
	revision := ""
	if textAt(self, "kind") == "StatefulSet" {
		revision = textAt(self, "status", "updateRevision")
	}
	var owned []object
	for _, pod := range pods {
		current := revision == "" || textAt(pod, "metadata", "labels", "controller-revision-hash") == revision
		if ownerUID(pod) == owner && current && at(pod, "metadata", "deletionTimestamp") == nil {
			owned = append(owned, pod)
		}
	}
	return owned
}

func count(list []object, wanted func(object) bool) int64 {
	var n int64
	for _, each := range list {
		if wanted(each) {
			n++
		}
	}
	return n
}
