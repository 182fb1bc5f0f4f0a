package main

import (
	"fmt"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/fields"
)

// withPods adds what the pods of a workload say to a verdict that is not ready: an image that cannot be had ends the
// wait, everything else is told along.
func withPods(f facts, answer verdict, pods []object) verdict {
	if answer.ready || answer.fatal != "" {
		return answer
	}
	answer.issues = append(answer.issues, podProblems(pods)...)
	fatal, again := imageFailure(pods, f.since)
	if fatal != "" {
		answer.fatal = fatal
	}
	if again > 0 && (answer.again == 0 || again < answer.again) {
		answer.again = again
	}
	return answer
}

func judgePod(f facts) verdict {
	phase := textAt(f.self, "status", "phase")
	if phase == "Succeeded" {
		return verdict{ready: true}
	}
	for _, kind := range []string{"PodScheduled", "Initialized", "Ready"} {
		if condition(f.self, kind) != "True" {
			waiting := verdict{status: fmt.Sprintf("Waiting for Pod %q to be %s", nameOf(f.self), kind)}
			waiting.issues = append(waiting.issues, fmt.Sprintf("Pod %s is not %s%s", nameOf(f.self), kind, because(conditionOf(f.self, kind))))
			if phase == "Failed" && textAt(f.self, "spec", "restartPolicy") != "Always" {
				waiting.fatal = fmt.Sprintf("Pod %q failed: %s", nameOf(f.self), podOutcome(f.self))
			}
			return withPods(f, waiting, []object{f.self})
		}
	}
	return verdict{ready: true}
}

func because(condition any) string {
	reason, message := textAt(condition, "reason"), textAt(condition, "message")
	switch {
	case reason == "" && message == "":
		return ""
	case message == "":
		return " (" + reason + ")"
	default:
		return " (" + reason + ": " + message + ")"
	}
}

func deploymentNeeds(self object) ([]watchSpec, error) {
	specs, err := podsOf(self)
	if err != nil {
		return nil, err
	}
	namespace := namespaceOf(self)
	specs = append(specs, watchSpec{name: replicaSetsName, gvk: replicaSetKind, namespace: namespace, labels: specs[0].labels})
	if len(claimNames(self)) > 0 {
		specs = append(specs, watchSpec{name: claimsName, gvk: claimKind, namespace: namespace})
	}
	return specs, nil
}

// claimNames are the volume claims that a workload's pods mount by name.
func claimNames(self object) []string {
	var names []string
	for _, volume := range listAt(self, "spec", "template", "spec", "volumes") {
		if name := textAt(volume, "persistentVolumeClaim", "claimName"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// currentReplicaSet is the ReplicaSet of a Deployment's present revision.
func currentReplicaSet(self object, replicaSets []object) object {
	revision := annotation(self, annotationRevision)
	for _, each := range replicaSets {
		if ownerUID(each) == uid(self) && revision != "" && annotation(each, annotationRevision) == revision {
			return each
		}
	}
	return nil
}

func judgeDeployment(f facts) verdict {
	wanted := numberAt(f.self, 1, "spec", "replicas")
	current := currentReplicaSet(f.self, f.related[replicaSetsName])
	available := numberAt(current, 0, "status", "readyReplicas")
	var issues []string
	if !observed(f.self) {
		issues = append(issues, "the Deployment controller has not seen the latest change yet")
	}
	if condition(f.self, "Available") != "True" {
		issues = append(issues, "Minimum number of live Pods was not attained"+because(conditionOf(f.self, "Available")))
	}
	switch {
	case f.unseen[replicaSetsName]:
		available = numberAt(f.self, 0, "status", "updatedReplicas")
		if available < wanted {
			issues = append(issues, fmt.Sprintf("%d of %d Pods are up to date", available, wanted))
		}
	case current == nil:
		issues = append(issues, "the ReplicaSet of the latest revision does not exist yet")
	case available < numberAt(current, 1, "spec", "replicas") || numberAt(current, 1, "spec", "replicas") == 0 && wanted > 0:
		issues = append(issues, fmt.Sprintf("%d of %d Pods of the latest ReplicaSet are ready", available, wanted))
	}
	if revision := annotation(f.self, annotationRevision); revision != "1" && revision != "" {
		progress := conditionOf(f.self, "Progressing")
		if textAt(progress, "status") != "True" || textAt(progress, "reason") != "NewReplicaSetAvailable" {
			issues = append(issues, "the rollout of the new ReplicaSet is not complete"+because(progress))
		}
	}
	for _, name := range claimNames(f.self) {
		for _, claim := range f.related[claimsName] {
			if nameOf(claim) == name && textAt(claim, "status", "phase") != "Bound" {
				issues = append(issues, fmt.Sprintf("PersistentVolumeClaim %s is not bound", name))
			}
		}
	}
	if len(issues) == 0 {
		return verdict{ready: true}
	}
	answer := verdict{
		issues: issues,
		status: fmt.Sprintf("Waiting for app ReplicaSet to be available (%d/%d Pods available)", available, wanted),
	}
	return withPods(f, answer, ownedPods(f.self, f.related[podsName], f.related[replicaSetsName]))
}

func judgeStatefulSet(f facts) verdict {
	wanted := numberAt(f.self, 1, "spec", "replicas")
	state := mapAt(f.self, "status")
	ready, replicas := numberAt(state, 0, "readyReplicas"), numberAt(state, 0, "replicas")
	strategy := textAt(f.self, "spec", "updateStrategy", "type")
	partition := numberAt(f.self, 0, "spec", "updateStrategy", "rollingUpdate", "partition")
	var issues []string
	step := fmt.Sprintf("[1/2] Waiting for StatefulSet to create Pods (%d/%d Pods ready)", ready, wanted)
	if !observed(f.self) {
		issues = append(issues, "the StatefulSet controller has not seen the latest change yet")
	}
	if replicas != wanted || ready != wanted {
		issues = append(issues, fmt.Sprintf("%d out of %d replicas succeeded readiness checks", ready, wanted))
		if f.update {
			step = fmt.Sprintf("[1/3] Waiting for StatefulSet update to roll out (%d/%d Pods ready)", ready, wanted)
		}
	}
	switch {
	case strategy == "OnDelete" && f.update:
		// Pods change when somebody deletes them; there is nothing to wait for.
	case partition > 0:
		if updated := numberAt(state, 0, "updatedReplicas"); updated < wanted-partition {
			issues = append(issues, fmt.Sprintf("%d of %d Pods above the partition are updated", updated, wanted-partition))
		}
	case textAt(state, "currentRevision") != textAt(state, "updateRevision") || numberAt(state, 0, "currentReplicas") != wanted:
		issues = append(issues, fmt.Sprintf(".status.currentRevision does not match .status.updateRevision (%d of %d replicas are current)",
			numberAt(state, 0, "currentReplicas"), wanted))
		if f.update && ready == wanted {
			step = "[2/3] Waiting for StatefulSet to update .status.currentRevision"
		}
	}
	if len(issues) == 0 {
		return verdict{ready: true}
	}
	return withPods(f, verdict{issues: issues, status: step}, ownedPods(f.self, f.related[podsName], nil))
}

func judgeDaemonSet(f facts) verdict {
	result, err := status.Compute(asUnstructured(f.self))
	if err != nil {
		return verdict{fatal: fmt.Sprintf("reading the status: %v", err)}
	}
	if result.Status == status.CurrentStatus {
		return verdict{ready: true}
	}
	generation := annotation(f.self, "deprecated.daemonset.template.generation")
	var pods []object
	for _, pod := range ownedPods(f.self, f.related[podsName], nil) {
		if generation == "" || textAt(pod, "metadata", "labels", "pod-template-generation") == generation {
			pods = append(pods, pod)
		}
	}
	return withPods(f, verdict{status: result.Message, issues: []string{result.Message}}, pods)
}

func judgeReplicationController(f facts) verdict {
	wanted, available := numberAt(f.self, 1, "spec", "replicas"), numberAt(f.self, 0, "status", "availableReplicas")
	if observed(f.self) && available == wanted {
		return verdict{ready: true}
	}
	text := fmt.Sprintf("%d of %d replicas are available", available, wanted)
	return withPods(f, verdict{status: "Waiting: " + text, issues: []string{text}}, ownedPods(f.self, f.related[podsName], nil))
}

// jobNeeds watches a Job's pods by the name label that the Job controller gives them.
func jobNeeds(self object) ([]watchSpec, error) {
	return []watchSpec{{
		name: podsName, gvk: podKind, namespace: namespaceOf(self),
		labels: fields.OneTermEqualSelector("job-name", nameOf(self)).String(),
	}}, nil
}

func judgeJob(f facts) verdict {
	name := nameOf(f.self)
	if at(f.self, "status", "startTime") != nil && condition(f.self, "Complete") == "True" {
		return verdict{ready: true}
	}
	state := mapAt(f.self, "status")
	tally := fmt.Sprintf("Active: %d | Succeeded: %d | Failed: %d",
		numberAt(state, 0, "active"), numberAt(state, 0, "succeeded"), numberAt(state, 0, "failed"))
	pods := ownedPods(f.self, f.related[podsName], nil)
	if failure := conditionOf(f.self, "Failed"); textAt(failure, "status") == "True" {
		return verdict{fatal: fmt.Sprintf("Job %q failed%s", name, because(failure)), issues: append([]string{tally}, podProblems(pods)...)}
	}
	answer := verdict{status: fmt.Sprintf("Waiting for Job %q to succeed (%s)", name, tally), issues: []string{
		fmt.Sprintf("Job %s has not completed (%s)", name, tally),
	}}
	return withPods(f, answer, pods)
}
