package main

import (
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"sigs.k8s.io/yaml"
)

// parse reads a YAML object as plain values (integers as int64), as they come from the engine.
func parse(t *testing.T, text string) object {
	t.Helper()
	fields := object{}
	if err := yaml.Unmarshal([]byte(text), &fields); err != nil {
		t.Fatalf("fixture: %v\n%s", err, text)
	}
	return whole(fields).(object)
}

func whole(value any) any {
	switch typed := value.(type) {
	case object:
		for key, inner := range typed {
			typed[key] = whole(inner)
		}
	case []any:
		for i, inner := range typed {
			typed[i] = whole(inner)
		}
	case float64:
		if typed == float64(int64(typed)) {
			return int64(typed)
		}
	}
	return value
}

// diffOf compares two versions of an object whose live state is the first one.
func diffOf(t *testing.T, before, after object, may mutability, ignored ...string) *pulumirpc.DiffResponse {
	t.Helper()
	namespaced, _ := builtinScope(groupVersionKind(after))
	answer, err := comparison{
		what: target{gvk: groupVersionKind(after)}, oldInputs: before, live: before, newInputs: after,
		namespaced: namespaced, may: may, ignored: ignored,
	}.answer()
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestForceNewTable(t *testing.T) {
	type row struct {
		kind, before, after string
		replaced            []string
	}
	pod := func(fields string) string {
		return "metadata: {name: x}\nspec: {containers: [{name: c, " + fields + "}]}"
	}
	rows := []row{
		{"example.com/v1 Anything", "metadata: {name: a}", "metadata: {name: b}", []string{"metadata.name"}},
		{"example.com/v1 Anything", "metadata: {name: a, namespace: n}", "metadata: {name: a, namespace: m}", []string{"metadata.namespace"}},
		{"example.com/v1 Anything", "metadata: {name: a}\nspec: {selector: 1}", "metadata: {name: a}\nspec: {selector: 2}", nil},
		{"v1 ConfigMap", "data: {a: '1'}", "data: {a: '2'}", []string{"data.a"}},
		{"v1 ConfigMap", "binaryData: {a: AA==}", "binaryData: {a: AQ==}", []string{"binaryData.a"}},
		{"v1 Secret", "type: Opaque", "type: other", []string{"type"}},
		{"v1 Secret", "data: {a: AA==}", "data: {a: AQ==, b: AQ==}", []string{"data.a", "data.b"}},
		{"v1 Pod", "spec: {nodeName: a}", "spec: {nodeName: b}", []string{"spec.nodeName"}},
		{"v1 Pod", "spec: {volumes: [{name: a}]}", "spec: {volumes: [{name: b}]}", []string{"spec.volumes[0].name"}},
		{"v1 Pod", "spec: {activeDeadlineSeconds: 1}", "spec: {activeDeadlineSeconds: 2}", nil},
		{"v1 Pod", pod("image: a"), pod("image: b"), []string{"spec.containers[0].image"}},
		{"v1 Pod", pod("startupProbe: {periodSeconds: 1}"), pod("startupProbe: {periodSeconds: 2}"), nil},
		{"v1 Pod", pod("env: [{name: A, value: x}]"), pod("env: [{name: A, value: y}]"), []string{"spec.containers[0].env[0].value"}},
		{"v1 Pod", "spec: {initContainers: [{name: c, image: a}]}", "spec: {initContainers: [{name: c, image: b}]}", []string{"spec.initContainers[0].image"}},
		{"v1 Service", "spec: {clusterIP: None}", "spec: {clusterIP: 10.0.0.1}", []string{"spec.clusterIP"}},
		{"v1 Service", "spec: {type: ClusterIP, selector: {a: b}}", "spec: {type: NodePort, selector: {a: c}}", nil},
		{"v1 PersistentVolumeClaim", "spec: {storageClassName: a}", "spec: {storageClassName: b}", []string{"spec.storageClassName"}},
		{"v1 PersistentVolumeClaim", "spec: {resources: {requests: {storage: 1Gi}}}", "spec: {resources: {requests: {storage: 2Gi}}}", nil},
		{"v1 PersistentVolume", "spec: {hostPath: {path: /a}}", "spec: {hostPath: {path: /b}}", []string{"spec.hostPath.path"}},
		{"v1 ResourceQuota", "spec: {scopes: [A]}", "spec: {scopes: [B]}", []string{"spec.scopes[0]"}},
		{"apps/v1 Deployment", "spec: {selector: {matchLabels: {a: b}}}", "spec: {selector: {matchLabels: {a: c}}}", []string{"spec.selector.matchLabels.a"}},
		{"apps/v1beta2 DaemonSet", "spec: {selector: {matchExpressions: [{key: a}]}}", "spec: {selector: {matchExpressions: [{key: b}]}}", []string{"spec.selector.matchExpressions[0].key"}},
		{"apps/v1 Deployment", "spec: {replicas: 1}", "spec: {replicas: 2}", nil},
		{"apps/v1 StatefulSet", "spec: {podManagementPolicy: Parallel}", "spec: {podManagementPolicy: OrderedReady}", []string{"spec.podManagementPolicy"}},
		{"apps/v1beta1 StatefulSet", "spec: {volumeClaimTemplates: [{spec: {a: 1}}]}", "spec: {volumeClaimTemplates: [{spec: {a: 2}}]}", []string{"spec.volumeClaimTemplates[0].spec.a"}},
		{"apps/v1 StatefulSet", "spec: {serviceName: a, revisionHistoryLimit: 1}", "spec: {serviceName: b, revisionHistoryLimit: 2}", []string{"spec.revisionHistoryLimit", "spec.serviceName"}},
		{"batch/v1 Job", "spec: {template: {spec: {restartPolicy: Never}}}", "spec: {template: {spec: {restartPolicy: OnFailure}}}", []string{"spec.template.spec.restartPolicy"}},
		{"batch/v1 Job", "spec: {completions: 1, parallelism: 1}", "spec: {completions: 2, parallelism: 2}", []string{"spec.completions", "spec.parallelism"}},
		{"batch/v1 Job", "spec: {ttlSecondsAfterFinished: 1}", "spec: {ttlSecondsAfterFinished: 2}", nil},
		{"rbac.authorization.k8s.io/v1 RoleBinding", "roleRef: {name: a}", "roleRef: {name: b}", []string{"roleRef.name"}},
		{"rbac.authorization.k8s.io/v1 ClusterRoleBinding", "subjects: [{name: a}]", "subjects: [{name: b}]", nil},
		{"storage.k8s.io/v1 StorageClass", "provisioner: a\nparameters: {x: y}", "provisioner: b\nparameters: {x: z}", []string{"parameters.x", "provisioner"}},
		{"policy/v1beta1 PodDisruptionBudget", "spec: {minAvailable: 1}", "spec: {minAvailable: 2}", []string{"spec.minAvailable"}},
		{"policy/v1 PodDisruptionBudget", "spec: {minAvailable: 1}", "spec: {minAvailable: 2}", nil},
		{"networking.k8s.io/v1 Ingress", "spec: {ingressClassName: a}", "spec: {ingressClassName: b}", nil},
	}
	for _, r := range rows {
		t.Run(r.kind+" "+r.after, func(t *testing.T) {
			before, after := parse(t, r.before), parse(t, r.after)
			for _, side := range []object{before, after} {
				version, kind := splitKind(r.kind)
				side["apiVersion"], side["kind"] = version, kind
				if _, has := side["metadata"]; !has {
					side["metadata"] = object{"name": "x"}
				}
			}
			answer := diffOf(t, before, after, mutability{})
			if answer.GetChanges() != pulumirpc.DiffResponse_DIFF_SOME {
				t.Fatal("no change was seen")
			}
			if got := answer.GetReplaces(); !sameStrings(got, r.replaced) {
				t.Fatalf("replaces %v, expected %v", got, r.replaced)
			}
		})
	}
}

func splitKind(text string) (version, kind string) {
	for i := range text {
		if text[i] == ' ' {
			return text[:i], text[i+1:]
		}
	}
	return "", text
}

func sameStrings(left, right []string) bool {
	if len(left) != len(right) {
		return false
	}
	for i := range left {
		if left[i] != right[i] {
			return false
		}
	}
	return true
}

func TestMutableConfigMapsAndSecrets(t *testing.T) {
	configMap := func(rest string) object {
		return parse(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, "+rest+"}")
	}
	secret := func(rest string) object {
		return parse(t, "{apiVersion: v1, kind: Secret, metadata: {name: x}, "+rest+"}")
	}
	if got := diffOf(t, configMap("data: {a: x}"), configMap("data: {a: y}"), mutability{configMap: true}).GetReplaces(); len(got) != 0 {
		t.Errorf("a mutable ConfigMap was replaced for %v", got)
	}
	if got := diffOf(t, configMap("data: {a: x}"), configMap("data: {a: y}, immutable: true"), mutability{configMap: true, immutable: true}).GetReplaces(); len(got) != 1 {
		t.Errorf("a ConfigMap that says immutable was replaced for %v, expected data.a", got)
	}
	if got := diffOf(t, secret("data: {a: AA==}, type: a"), secret("data: {a: AQ==}, type: b"), mutability{secret: true}).GetReplaces(); !sameStrings(got, []string{"type"}) {
		t.Errorf("a mutable Secret was replaced for %v, expected type", got)
	}
}

func TestReplaceForWholeSubtrees(t *testing.T) {
	before := parse(t, "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: x}}")
	after := parse(t, "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: x}, spec: {serviceName: s}}")
	if got := diffOf(t, before, after, mutability{}).GetReplaces(); !sameStrings(got, []string{"spec"}) {
		t.Errorf("a new spec holding serviceName replaces %v, expected spec", got)
	}
	if got := diffOf(t, after, before, mutability{}).GetReplaces(); len(got) != 0 {
		t.Errorf("deleting spec replaces %v, expected nothing", got)
	}
	before, after = parse(t, "{apiVersion: v1, kind: Node, metadata: {name: x}}"), parse(t, "{apiVersion: v1, kind: Node}")
	if answer := diffOf(t, before, after, mutability{}); len(answer.GetReplaces()) != 1 {
		t.Errorf("losing the name replaces %v, expected metadata.name", answer.GetReplaces())
	}
}
