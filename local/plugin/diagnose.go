package main

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
)

const (
	diagnosedPods = 3
	logLines      = 20
	logBytes      = 16 << 10
	eventLines    = 5
)

// diagnose gathers what helps to see why an object is not ready: its events, and events and last log lines of the
// pods that are not ready.
func (o *operation) diagnose(ctx context.Context, live *unstructured.Unstructured, pods []object) []string {
	lines := o.events(ctx, live.Object)
	if o.what.gvk == podKind {
		pods = []object{live.Object}
	}
	told := 0
	for _, pod := range pods {
		if podReady(pod) || o.what.gvk.Kind != "Pod" && !o.belongs(live.Object, pod) {
			continue
		}
		if told++; told > diagnosedPods {
			lines = append(lines, "(further Pods left out)")
			break
		}
		if o.what.gvk != podKind {
			lines = append(lines, o.events(ctx, pod)...)
		}
		lines = append(lines, o.podLogs(ctx, pod)...)
	}
	return lines
}

// belongs is true for pods of the object; a Deployment's pods carry its ReplicaSet as owner, so its selector decides.
func (o *operation) belongs(self, pod object) bool {
	return o.what.gvk.Kind == "Deployment" || ownerUID(pod) == uid(self)
}

// events lists the last warnings about an object.
func (o *operation) events(ctx context.Context, about object) []string {
	namespace := namespaceOf(about)
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	found, err := o.s.cluster.typed.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{
		FieldSelector: fields.Set{"involvedObject.uid": uid(about), "type": corev1.EventTypeWarning}.String(),
	})
	if err != nil {
		return []string{fmt.Sprintf("events of %s could not be read: %v", nameOf(about), err)}
	}
	items := found.Items
	if len(items) > eventLines {
		items = items[len(items)-eventLines:]
	}
	var lines []string
	for _, event := range items {
		lines = append(lines, fmt.Sprintf("[%s %s] %s: %s", event.InvolvedObject.Kind, objectID(event.InvolvedObject.Namespace, event.InvolvedObject.Name), event.Reason, strings.TrimSpace(event.Message)))
	}
	return lines
}

// podLogs are the last lines of each container that failed or restarted, of its present and its previous run.
func (o *operation) podLogs(ctx context.Context, pod object) []string {
	if textAt(pod, "spec", "nodeName") == "" {
		return nil
	}
	var lines []string
	for _, state := range containerStates(pod) {
		restarted := numberAt(state, 0, "restartCount") > 0
		started := mapAt(state, "state", "running") != nil || mapAt(state, "state", "terminated") != nil
		fine := at(state, "ready") == true || numberAt(state, 1, "state", "terminated", "exitCode") == 0
		if fine || !started && !restarted {
			continue
		}
		if restarted {
			lines = append(lines, o.containerLog(ctx, pod, textAt(state, "name"), true)...)
		}
		if started {
			lines = append(lines, o.containerLog(ctx, pod, textAt(state, "name"), false)...)
		}
	}
	return lines
}

func (o *operation) containerLog(ctx context.Context, pod object, container string, previous bool) []string {
	tail, limit := int64(logLines), int64(logBytes)
	run := "log"
	if previous {
		run = "log of the previous run"
	}
	title := fmt.Sprintf("[Pod %s/%s] %s of container %q", namespaceOf(pod), nameOf(pod), run, container)
	text, err := o.s.cluster.typed.CoreV1().Pods(namespaceOf(pod)).GetLogs(nameOf(pod), &corev1.PodLogOptions{
		Container: container, Previous: previous, TailLines: &tail, LimitBytes: &limit,
	}).DoRaw(ctx)
	if err != nil {
		return []string{fmt.Sprintf("%s could not be read: %v", title, err)}
	}
	if len(strings.TrimSpace(string(text))) == 0 {
		return []string{title + " is empty"}
	}
	return []string{title + ":\n" + indent(strings.TrimRight(string(text), "\n"))}
}

func indent(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }
