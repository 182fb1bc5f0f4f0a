package main

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
)

const serviceAccountToken = "kubernetes.io/service-account-token"

func claimNeeds(self object) ([]watchSpec, error) {
	return []watchSpec{{name: classesName, gvk: classKind}}, nil
}

func judgeClaim(f facts) verdict {
	phase := textAt(f.self, "status", "phase")
	if phase == "Bound" {
		return verdict{ready: true}
	}
	class := textAt(f.self, "spec", "storageClassName")
	for _, each := range f.related[classesName] {
		if nameOf(each) == class && phase == "Pending" && textAt(each, "volumeBindingMode") == "WaitForFirstConsumer" {
			return verdict{ready: true}
		}
	}
	text := fmt.Sprintf("PersistentVolumeClaim %s is %s, not Bound", nameOf(f.self), phase)
	if class == "" && textAt(f.self, "spec", "volumeName") == "" && !hasDefaultClass(f.related[classesName]) {
		text += "; it names no storage class and the cluster has no default one"
	}
	return verdict{status: "Waiting for PersistentVolumeClaim to be Bound", issues: []string{text}}
}

func hasDefaultClass(classes []object) bool {
	for _, each := range classes {
		if annotation(each, "storageclass.kubernetes.io/is-default-class") == "true" {
			return true
		}
	}
	return false
}

func judgeVolume(f facts) verdict {
	phase := textAt(f.self, "status", "phase")
	if phase == "Available" || phase == "Bound" {
		return verdict{ready: true}
	}
	return verdict{status: "Waiting for PersistentVolume to be Available", issues: []string{
		fmt.Sprintf("PersistentVolume %s is %s%s", nameOf(f.self), phase, because(mapAt(f.self, "status"))),
	}}
}

func judgeQuota(f facts) verdict {
	wanted, actual := mapAt(f.self, "spec", "hard"), mapAt(f.self, "status", "hard")
	for key, value := range wanted {
		if !sameQuantity(value, actual[key]) {
			return verdict{status: "Waiting for ResourceQuota to be in force", issues: []string{
				fmt.Sprintf("status.hard.%s of ResourceQuota %s is %v, not %v yet", key, nameOf(f.self), actual[key], value),
			}}
		}
	}
	if len(wanted) != len(actual) {
		return verdict{issues: []string{fmt.Sprintf("status.hard of ResourceQuota %s does not match spec.hard yet", nameOf(f.self))}}
	}
	return verdict{ready: true}
}

func sameQuantity(left, right any) bool {
	a, errA := resource.ParseQuantity(fmt.Sprint(left))
	b, errB := resource.ParseQuantity(fmt.Sprint(right))
	return errA == nil && errB == nil && a.Cmp(b) == 0
}

// judgeSecret waits for the token controller; all other Secrets are complete as written.
func judgeSecret(f facts) verdict {
	if textAt(f.self, "type") != serviceAccountToken || len(mapAt(f.self, "data")) > 0 {
		return verdict{ready: true}
	}
	return verdict{status: "Waiting for the service account token", issues: []string{
		fmt.Sprintf("Secret %s has not been given a token; does the service account %q exist?", nameOf(f.self),
			annotation(f.self, "kubernetes.io/service-account.name")),
	}}
}
