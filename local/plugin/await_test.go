package main

import (
	"strings"
	"testing"
	"time"
)

// seen builds facts for a rule: nothing has changed for the given time, every problem is as old.
func seen(self object, age time.Duration, related map[string][]object) facts {
	return facts{
		self: self, related: related, unseen: map[string]bool{},
		quiet: func(string) time.Duration { return age },
		since: func(string) time.Duration { return age },
	}
}

func TestRules(t *testing.T) {
	owner := ", ownerReferences: [{controller: true, uid: own}]"
	pod := func(reason, message string) string {
		return "{metadata: {name: p, namespace: n, uid: pu" + owner + ", labels: {controller-revision-hash: r2}}, status: {containerStatuses: " +
			"[{name: c, image: i, state: {waiting: {reason: " + reason + ", message: '" + message + "'}}}]}}"
	}
	set := func(spec, status string) string {
		return "{kind: StatefulSet, metadata: {name: s, uid: own, generation: 2}, spec: {" + spec + "}, status: {observedGeneration: 2, " + status + "}}"
	}
	deployment := func(revision, status string) string {
		return "{kind: Deployment, metadata: {name: d, uid: own, generation: 1, annotations: {deployment.kubernetes.io/revision: '" + revision +
			"'}}, spec: {replicas: 2}, status: {observedGeneration: 1, " + status + "}}"
	}
	replicas := "{metadata: {name: rs, uid: rsu" + owner + ", annotations: {deployment.kubernetes.io/revision: '1'}}, spec: {replicas: 2}, status: {readyReplicas: 2}}"
	available := "conditions: [{type: Available, status: 'True'}]"
	cases := []struct {
		name, kind, self string
		related          map[string][]string
		age              time.Duration
		last, update     bool
		want             string // ready, wait, or a part of the fatal text
	}{
		{name: "pod ready", kind: "v1 Pod", self: "{status: {conditions: [{type: PodScheduled, status: 'True'}, {type: Initialized, status: 'True'}, {type: Ready, status: 'True'}]}}", want: "ready"},
		{name: "pod done", kind: "v1 Pod", self: "{status: {phase: Succeeded}}", want: "ready"},
		{name: "pod starting", kind: "v1 Pod", self: "{status: {conditions: [{type: PodScheduled, status: 'True'}]}}", want: "wait"},
		{name: "pod failed for good", kind: "v1 Pod", self: "{metadata: {name: p}, spec: {restartPolicy: Never}, status: {phase: Failed}}", want: "failed"},
		{name: "pod without image, new", kind: "v1 Pod", self: pod("ErrImagePull", "not found"), age: time.Second, want: "wait"},
		{name: "pod without image", kind: "v1 Pod", self: pod("ImagePullBackOff", "not found"), age: 10 * time.Second, want: "cannot be pulled"},
		{name: "registry busy", kind: "v1 Pod", self: pod("ErrImagePull", "toomanyrequests"), age: 20 * time.Second, want: "wait"},
		{name: "pod in a crash loop", kind: "v1 Pod", self: pod("CrashLoopBackOff", ""), age: time.Hour, want: "wait"},

		{name: "deployment", kind: "apps/v1 Deployment", self: deployment("1", available), related: map[string][]string{replicaSetsName: {replicas}}, want: "ready"},
		{name: "deployment unobserved", kind: "apps/v1 Deployment", self: strings.Replace(deployment("1", available), "generation: 1", "generation: 2", 1), related: map[string][]string{replicaSetsName: {replicas}}, want: "wait"},
		{name: "deployment unavailable", kind: "apps/v1 Deployment", self: deployment("1", "x: 1"), related: map[string][]string{replicaSetsName: {replicas}}, want: "wait"},
		{name: "deployment, old ReplicaSet ready", kind: "apps/v1 Deployment", self: deployment("2", available), related: map[string][]string{replicaSetsName: {replicas}}, want: "wait"},
		{name: "rollout not complete", kind: "apps/v1 Deployment", self: deployment("2", available), related: map[string][]string{replicaSetsName: {strings.Replace(replicas, "revision: '1'", "revision: '2'", 1)}}, want: "wait"},
		{name: "rollout complete", kind: "apps/v1 Deployment", self: deployment("2", "conditions: [{type: Available, status: 'True'}, {type: Progressing, status: 'True', reason: NewReplicaSetAvailable}]"), related: map[string][]string{replicaSetsName: {strings.Replace(replicas, "revision: '1'", "revision: '2'", 1)}}, want: "ready"},

		{name: "set ready", kind: "apps/v1 StatefulSet", self: set("replicas: 2", "replicas: 2, readyReplicas: 2, currentReplicas: 2, currentRevision: r, updateRevision: r"), want: "ready"},
		{name: "set of none", kind: "apps/v1 StatefulSet", self: set("replicas: 0", "currentRevision: r, updateRevision: r"), want: "ready"},
		{name: "set rolling", kind: "apps/v1 StatefulSet", self: set("replicas: 2", "replicas: 2, readyReplicas: 2, currentReplicas: 1, currentRevision: r1, updateRevision: r2"), update: true, want: "wait"},
		{name: "set by hand", kind: "apps/v1 StatefulSet", self: set("replicas: 1, updateStrategy: {type: OnDelete}", "replicas: 1, readyReplicas: 1, currentReplicas: 1, currentRevision: r1, updateRevision: r2"), update: true, want: "ready"},
		{name: "set with partition", kind: "apps/v1 StatefulSet", self: set("replicas: 2, updateStrategy: {rollingUpdate: {partition: 1}}", "replicas: 2, readyReplicas: 2, currentReplicas: 1, updatedReplicas: 1, currentRevision: r1, updateRevision: r2"), update: true, want: "ready"},
		{name: "set with partition, rolling", kind: "apps/v1 StatefulSet", self: set("replicas: 2, updateStrategy: {rollingUpdate: {partition: 1}}", "replicas: 2, readyReplicas: 2, updatedReplicas: 0, currentRevision: r1, updateRevision: r2"), update: true, want: "wait"},
		{name: "set without image", kind: "apps/v1 StatefulSet", self: set("replicas: 2", "updateRevision: r2"), related: map[string][]string{podsName: {pod("InvalidImageName", "bad")}}, age: time.Minute, want: "cannot be pulled"},
		{name: "only the old revision lacks its image", kind: "apps/v1 StatefulSet", self: set("replicas: 2", "updateRevision: r3"), related: map[string][]string{podsName: {pod("InvalidImageName", "bad")}}, age: time.Minute, want: "wait"},

		{name: "daemons ready", kind: "apps/v1 DaemonSet", self: "{kind: DaemonSet, apiVersion: apps/v1, metadata: {generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 1, currentNumberScheduled: 1, updatedNumberScheduled: 1, numberAvailable: 1, numberReady: 1}}", want: "ready"},
		{name: "daemons starting", kind: "apps/v1 DaemonSet", self: "{kind: DaemonSet, apiVersion: apps/v1, metadata: {generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 1, currentNumberScheduled: 1, updatedNumberScheduled: 1, numberReady: 0}}", want: "wait"},

		{name: "job complete", kind: "batch/v1 Job", self: "{status: {startTime: t, conditions: [{type: Complete, status: 'True'}]}}", want: "ready"},
		{name: "job running", kind: "batch/v1 Job", self: "{status: {startTime: t, active: 1}}", want: "wait"},
		{name: "job failed", kind: "batch/v1 Job", self: "{metadata: {name: j}, status: {startTime: t, conditions: [{type: Failed, status: 'True', reason: PodFailurePolicy}]}}", want: "PodFailurePolicy"},

		{name: "headless", kind: "v1 Service", self: "{spec: {clusterIP: None, selector: {a: b}}}", want: "ready"},
		{name: "no selector", kind: "v1 Service", self: "{spec: {clusterIP: 198.19.0.1}}", want: "ready"},
		{name: "no endpoints yet", kind: "v1 Service", self: "{spec: {selector: {a: b}}}", age: time.Second, want: "wait"},
		{name: "no endpoints for long", kind: "v1 Service", self: "{spec: {selector: {a: b}}}", age: 10 * time.Second, want: "ready"},
		{name: "serving", kind: "v1 Service", self: "{spec: {selector: {a: b}}}", related: map[string][]string{slicesName: {"{endpoints: [{addresses: [x], conditions: {ready: true}}]}"}}, want: "ready"},
		{name: "half serving", kind: "v1 Service", self: "{spec: {selector: {a: b}}}", age: time.Hour, related: map[string][]string{slicesName: {"{endpoints: [{addresses: [x]}, {addresses: [y], conditions: {ready: false}}]}"}}, last: true, want: "wait"},
		{name: "balancer without address", kind: "v1 Service", self: "{spec: {type: LoadBalancer, selector: {a: b}}}", age: time.Hour, last: true, want: "wait"},
		{name: "balancer", kind: "v1 Service", self: "{spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: x}]}}}", want: "ready"},

		{name: "ingress without controller", kind: "networking.k8s.io/v1 Ingress", self: "{spec: {}}", age: time.Hour, want: "wait"},
		{name: "ingress", kind: "networking.k8s.io/v1 Ingress", self: "{spec: {rules: [{http: {paths: [{backend: {service: {name: s}}}]}}]}, status: {loadBalancer: {ingress: [{ip: x}]}}}", related: map[string][]string{slicesName: {"{metadata: {labels: {kubernetes.io/service-name: s}}, endpoints: [{addresses: [x]}]}"}}, want: "ready"},
		{name: "ingress, backend missing", kind: "networking.k8s.io/v1 Ingress", self: "{spec: {rules: [{http: {paths: [{backend: {service: {name: s}}}]}}]}, status: {loadBalancer: {ingress: [{ip: x}]}}}", age: time.Second, want: "wait"},
		{name: "ingress, backend missing for long", kind: "networking.k8s.io/v1 Ingress", self: "{spec: {rules: [{http: {paths: [{backend: {service: {name: s}}}]}}]}, status: {loadBalancer: {ingress: [{ip: x}]}}}", age: time.Minute, want: "ready"},

		{name: "claim bound", kind: "v1 PersistentVolumeClaim", self: "{status: {phase: Bound}}", want: "ready"},
		{name: "claim for first consumer", kind: "v1 PersistentVolumeClaim", self: "{spec: {storageClassName: w}, status: {phase: Pending}}", related: map[string][]string{classesName: {"{metadata: {name: w}, volumeBindingMode: WaitForFirstConsumer}"}}, want: "ready"},
		{name: "claim pending", kind: "v1 PersistentVolumeClaim", self: "{spec: {storageClassName: w}, status: {phase: Pending}}", related: map[string][]string{classesName: {"{metadata: {name: w}, volumeBindingMode: Immediate}"}}, want: "wait"},
		{name: "volume", kind: "v1 PersistentVolume", self: "{status: {phase: Available}}", want: "ready"},
		{name: "controller of none", kind: "v1 ReplicationController", self: "{spec: {replicas: 0}}", want: "ready"},
		{name: "quota", kind: "v1 ResourceQuota", self: "{spec: {hard: {cpu: 1000m}}, status: {hard: {cpu: '1'}}}", want: "ready"},
		{name: "quota pending", kind: "v1 ResourceQuota", self: "{spec: {hard: {cpu: 1000m}}}", want: "wait"},
		{name: "token pending", kind: "v1 Secret", self: "{type: kubernetes.io/service-account-token}", want: "wait"},
		{name: "secret", kind: "v1 Secret", self: "{type: Opaque}", want: "ready"},
		{name: "definition", kind: "apiextensions.k8s.io/v1 CustomResourceDefinition", self: "{status: {conditions: [{type: NamesAccepted, status: 'True'}, {type: Established, status: 'False'}]}}", want: "wait"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			related := map[string][]object{}
			for name, texts := range c.related {
				for _, text := range texts {
					related[name] = append(related[name], parse(t, text))
				}
			}
			version, kind := splitKind(c.kind)
			f := seen(parse(t, c.self), c.age, related)
			f.last, f.update = c.last, c.update
			answer := builtinRule(groupVersionKind(object{"apiVersion": version, "kind": kind})).judge(f)
			got := "wait"
			if answer.ready {
				got = "ready"
			} else if answer.fatal != "" {
				got = answer.fatal
			} else if len(answer.issues) == 0 {
				t.Error("a wait must say what it waits for")
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("got %q, expected %q (%v)", got, c.want, answer.issues)
			}
		})
	}
}

func TestKindsReadyOnceAccepted(t *testing.T) {
	for _, kind := range []string{"v1 ConfigMap", "v1 Namespace", "v1 ServiceAccount", "apps/v1 ReplicaSet", "batch/v1 CronJob", "example.com/v1 Deployment", "rbac.authorization.k8s.io/v1 Role"} {
		version, name := splitKind(kind)
		if builtinRule(groupVersionKind(object{"apiVersion": version, "kind": name})) != nil {
			t.Errorf("%s has a rule", kind)
		}
	}
}

func TestWaitFor(t *testing.T) {
	self := "{metadata: {generation: 2}, status: {observedGeneration: 2, phase: Up, count: 3, conditions: [{type: Ready, status: 'True'}, {type: Old, status: 'True', observedGeneration: 1}]}}"
	cases := []struct {
		text string
		want bool
	}{
		{"jsonpath={.status.phase}", true}, {"jsonpath={.status.none}", false}, {"jsonpath={.status.phase}=Up", true},
		{"jsonpath={.status.count}=3", true}, {"jsonpath={.status.phase}=Down", false}, {"condition=ready", true},
		{"condition=Ready=false", false}, {"condition=Old", false}, {`["condition=Ready", "jsonpath={.status.phase}=Up"]`, true},
		{`["condition=Ready", "condition=Other"]`, false},
	}
	for _, c := range cases {
		conditions, err := parseWaitFor(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got := waitForRule(conditions).judge(seen(parse(t, self), 0, nil)); got.ready != c.want {
			t.Errorf("%s: got %+v", c.text, got)
		}
	}
	for _, bad := range []string{"soon", "jsonpath=.a", "jsonpath={.a}=", "condition=", "[]", "[1]", "jsonpath={.a"} {
		if _, err := parseWaitFor(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	stale := parse(t, strings.Replace(self, "generation: 2", "generation: 3", 1))
	conditions, _ := parseWaitFor("condition=Ready")
	if waitForRule(conditions).judge(seen(stale, 0, nil)).ready {
		t.Error("a status of an older generation counted")
	}
}

func TestLimit(t *testing.T) {
	o := &operation{s: newServer(nil), inputs: object{"metadata": object{"annotations": object{annotationTimeout: "7"}}}}
	if got := o.limit(0); got != 7*time.Second {
		t.Errorf("annotation: %s", got)
	}
	o.timeout = 3 * time.Second
	if got := o.limit(0); got != 3*time.Second {
		t.Errorf("the engine's time comes first: %s", got)
	}
	if got := o.limit(time.Minute); got != time.Minute {
		t.Errorf("a fixed time comes before all: %s", got)
	}
	if got := (&operation{s: newServer(nil), inputs: object{}}).limit(0); got != 10*time.Minute {
		t.Errorf("default: %s", got)
	}
}
