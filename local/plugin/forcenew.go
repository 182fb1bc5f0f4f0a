package main

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// fieldPath is a list of keys; "*" stands for every element of a list.
type fieldPath []string

func under(parent fieldPath, keys ...string) []fieldPath {
	paths := make([]fieldPath, 0, len(keys))
	for _, key := range keys {
		paths = append(paths, append(append(fieldPath{}, parent...), key))
	}
	return paths
}

// kindRule says which fields of a kind Kubernetes will not change in place.
type kindRule struct {
	group    string
	versions []string
	kinds    []string
	paths    []fieldPath
}

var podFields = []string{
	"affinity", "automountServiceAccountToken", "dnsConfig", "dnsPolicy", "enableServiceLinks", "hostAliases", "hostIPC",
	"hostNetwork", "hostPID", "hostname", "imagePullSecrets", "nodeName", "nodeSelector", "overhead", "preemptionPolicy",
	"priority", "priorityClassName", "readinessGates", "restartPolicy", "runtimeClassName", "schedulerName",
	"securityContext", "serviceAccount", "serviceAccountName", "shareProcessNamespace", "subdomain",
	"terminationGracePeriodSeconds", "volumes",
}

var containerFields = []string{
	"args", "command", "env", "image", "imagePullPolicy", "lifecycle", "livenessProbe", "ports", "readinessProbe",
	"resources", "securityContext", "stdin", "stdinOnce", "terminationMessagePath", "terminationMessagePolicy", "tty",
	"volumeDevices", "volumeMounts", "workingDir",
}

var volumeSources = []string{
	"awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "fc", "flexVolume", "flocker",
	"gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local", "nfs", "photonPersistentDisk", "portworxVolume",
	"quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume",
}

var (
	spec      = fieldPath{"spec"}
	kindRules = []kindRule{
		{"", []string{"v1"}, []string{"ConfigMap"}, []fieldPath{{"data"}, {"binaryData"}}},
		{"", []string{"v1"}, []string{"Secret"}, []fieldPath{{"type"}, {"data"}, {"stringData"}}},
		{"", []string{"v1"}, []string{"Pod"}, append(append(under(spec, podFields...),
			under(fieldPath{"spec", "containers", "*"}, containerFields...)...),
			under(fieldPath{"spec", "initContainers", "*"}, containerFields...)...)},
		{"", []string{"v1"}, []string{"Service"}, under(spec, "clusterIP")},
		{"", []string{"v1"}, []string{"PersistentVolumeClaim"}, under(spec, "accessModes", "selector", "storageClassName", "volumeName")},
		{"", []string{"v1"}, []string{"PersistentVolume"}, under(spec, volumeSources...)},
		{"", []string{"v1"}, []string{"ResourceQuota"}, under(spec, "scopes")},
		{"apps", []string{"v1", "v1beta2"}, []string{"Deployment", "DaemonSet"}, under(spec, "selector")},
		{"apps", []string{"v1", "v1beta1", "v1beta2"}, []string{"StatefulSet"},
			under(spec, "podManagementPolicy", "revisionHistoryLimit", "selector", "serviceName", "volumeClaimTemplates")},
		{"batch", []string{"v1", "v1beta1", "v2alpha1"}, []string{"Job"}, under(spec, "completions", "parallelism", "selector", "template")},
		{"rbac.authorization.k8s.io", []string{"v1", "v1beta1", "v1alpha1"}, []string{"RoleBinding", "ClusterRoleBinding"}, []fieldPath{{"roleRef"}}},
		{"storage.k8s.io", []string{"v1"}, []string{"StorageClass"}, []fieldPath{{"parameters"}, {"provisioner"}}},
		{"policy", []string{"v1beta1"}, []string{"PodDisruptionBudget"}, []fieldPath{{"spec"}}},
	}
	identityFields = []fieldPath{{"metadata", "name"}, {"metadata", "namespace"}}
)

// mutability is how the provider was told to treat ConfigMaps and Secrets, and what the new inputs say.
type mutability struct {
	configMap, secret bool // may change in place
	immutable         bool // the new inputs say immutable: true
}

// replaceFields lists the fields of a kind whose change means a new object.
func replaceFields(gvk schema.GroupVersionKind, patch bool, may mutability) []fieldPath {
	if patch {
		return identityFields
	}
	paths := append([]fieldPath{}, identityFields...)
	if gvk.Group == "" && gvk.Version == "v1" {
		switch {
		case gvk.Kind == "ConfigMap" && may.configMap && !may.immutable:
			return paths
		case gvk.Kind == "Secret" && may.secret && !may.immutable:
			return append(paths, fieldPath{"type"})
		}
	}
	for _, rule := range kindRules {
		if rule.group == gvk.Group && contains(rule.versions, gvk.Version) && contains(rule.kinds, gvk.Kind) {
			paths = append(paths, rule.paths...)
		}
	}
	return paths
}

func contains(list []string, wanted string) bool {
	for _, element := range list {
		if element == wanted {
			return true
		}
	}
	return false
}

// forcesReplacement tells whether a change touches one of the given fields: it is at or below one, or it sets a whole
// subtree that holds one. Deleting a parent does not count, except the whole metadata.
func forcesReplacement(c change, fields []fieldPath) bool {
	if c.kind == changeDelete && len(c.path) == 1 && c.path[0] == "metadata" {
		return true
	}
	for _, field := range fields {
		if touches(c.path, c.after, field, c.kind != changeDelete) {
			return true
		}
	}
	return false
}

func touches(path []any, after any, field fieldPath, lookInside bool) bool {
	for i, step := range path {
		if i >= len(field) {
			return true // the change is below the field
		}
		if !matchStep(field[i], step) {
			return false
		}
	}
	if len(path) == len(field) {
		return true
	}
	return lookInside && holds(after, field[len(path):])
}

func matchStep(pattern string, step any) bool {
	if key, ok := step.(string); ok {
		return pattern == key
	}
	return pattern == "*"
}

// holds tells whether a value contains the rest of a field's path. A value that is not known yet may.
func holds(value any, rest fieldPath) bool {
	if len(rest) == 0 {
		return true
	}
	switch typed := value.(type) {
	case unknown:
		return true
	case object:
		inner, found := typed[rest[0]]
		return found && holds(inner, rest[1:])
	case []any:
		if rest[0] == "*" {
			for _, element := range typed {
				if holds(element, rest[1:]) {
					return true
				}
			}
		}
	}
	return false
}
