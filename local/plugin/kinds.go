package main

import (
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// builtin knows the Go types of every kind that Kubernetes itself serves, CustomResourceDefinition included.
var builtin = func() *runtime.Scheme {
	known := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, apiextensions.AddToScheme} {
		if err := add(known); err != nil {
			panic(fmt.Sprintf("registering the built-in Kubernetes types: %v", err))
		}
	}
	return known
}()

// target is what a Pulumi resource stands for.
type target struct {
	gvk schema.GroupVersionKind
	// patch is true for <Kind>Patch resources, which own some fields of an object that somebody else made.
	patch bool
}

// targetOf finds the kind of a resource from its inputs, or from its type token when there are none (import).
func targetOf(urn resource.URN, inputs object) (target, error) {
	token := string(urn.Type())
	parts := strings.SplitN(token, ":", 3)
	if len(parts) != 3 || parts[0] != pluginName {
		return target{}, fmt.Errorf("%s is not a type of the kubernetes plugin (expected kubernetes:<group>/<version>:<Kind>)", token)
	}
	version, kind := parts[1], parts[2]
	if version == "core/v1" {
		version = "v1"
	}
	patch := strings.HasSuffix(kind, "Patch")
	if written := textAt(inputs, "kind"); written != "" {
		patch = patch && kind == written+"Patch"
		kind = written
	} else {
		kind = strings.TrimSuffix(kind, "Patch")
	}
	if written := textAt(inputs, "apiVersion"); written != "" {
		version = written
	}
	groupVersion, err := schema.ParseGroupVersion(version)
	if err != nil {
		return target{}, fmt.Errorf("apiVersion of %s: %w", urn, err)
	}
	return target{gvk: groupVersion.WithKind(kind), patch: patch}, nil
}

// isListKind is true for the built-in collections such as PodList; custom kinds may be called what they like.
func isListKind(gvk schema.GroupVersionKind) bool {
	return strings.HasSuffix(gvk.Kind, "List") && builtin.Recognizes(gvk)
}

// clusterScoped lists the built-in kinds that live outside namespaces, by group.
var clusterScoped = map[string][]string{
	"":                             {"ComponentStatus", "Namespace", "Node", "PersistentVolume"},
	"admissionregistration.k8s.io": {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "MutatingWebhookConfiguration", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration"},
	"apiextensions.k8s.io":         {"CustomResourceDefinition"},
	"apiregistration.k8s.io":       {"APIService"},
	"authentication.k8s.io":        {"SelfSubjectReview", "TokenReview"},
	"authorization.k8s.io":         {"SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"},
	"certificates.k8s.io":          {"CertificateSigningRequest", "ClusterTrustBundle"},
	"flowcontrol.apiserver.k8s.io": {"FlowSchema", "PriorityLevelConfiguration"},
	"internal.apiserver.k8s.io":    {"StorageVersion"},
	"networking.k8s.io":            {"IngressClass", "IPAddress", "ServiceCIDR"},
	"node.k8s.io":                  {"RuntimeClass"},
	"policy":                       {"PodSecurityPolicy"},
	"rbac.authorization.k8s.io":    {"ClusterRole", "ClusterRoleBinding"},
	"resource.k8s.io":              {"DeviceClass", "DeviceTaintRule", "ResourceSlice"},
	"scheduling.k8s.io":            {"PriorityClass"},
	"storage.k8s.io":               {"CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"},
	"storagemigration.k8s.io":      {"StorageVersionMigration"},
}

// builtinScope tells whether a kind is namespaced; known is false for kinds that Kubernetes does not ship.
func builtinScope(gvk schema.GroupVersionKind) (namespaced, known bool) {
	for _, kind := range clusterScoped[gvk.Group] {
		if kind == gvk.Kind {
			return false, true
		}
	}
	return true, builtin.Recognizes(gvk)
}

// crdScopes remembers the scope of custom kinds whose definition is part of the same program, so that their objects
// get the right namespace before the definition is installed.
type crdScopes struct {
	mu     sync.Mutex
	scopes map[schema.GroupKind]bool
}

func (c *crdScopes) learn(definition object) {
	group, kind := textAt(definition, "spec", "group"), textAt(definition, "spec", "names", "kind")
	scope := textAt(definition, "spec", "scope")
	if group == "" || kind == "" || scope == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.scopes == nil {
		c.scopes = map[schema.GroupKind]bool{}
	}
	c.scopes[schema.GroupKind{Group: group, Kind: kind}] = scope == "Namespaced"
}

func (c *crdScopes) find(kind schema.GroupKind) (namespaced, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	namespaced, known = c.scopes[kind]
	return namespaced, known
}

// namespaced decides whether objects of a kind live in a namespace; what nobody knows is assumed to.
func (s *server) namespaced(gvk schema.GroupVersionKind) bool {
	if namespaced, known := builtinScope(gvk); known {
		return namespaced
	}
	if namespaced, known := s.crds.find(gvk.GroupKind()); known {
		return namespaced
	}
	if s.cluster != nil && s.cluster.unreachable == nil {
		if mapping, err := s.cluster.mapping(gvk); err == nil {
			return mapping.Scope.Name() == "namespace"
		}
	}
	return true
}

// inputKeys are the top-level fields a program may set on a built-in kind; nil for custom kinds.
func inputKeys(gvk schema.GroupVersionKind) []string {
	sample, err := builtin.New(gvk)
	if err != nil {
		return nil
	}
	keys := []string{"apiVersion", "kind"}
	structure := reflect.TypeOf(sample).Elem()
	for i := range structure.NumField() {
		name, _, _ := strings.Cut(structure.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "status" {
			keys = append(keys, name)
		}
	}
	return keys
}

func groupVersionKind(plain object) schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind(textAt(plain, "apiVersion"), textAt(plain, "kind"))
}

func objectID(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

// splitID is the inverse of objectID.
func splitID(id string) (namespace, name string) {
	if before, after, found := strings.Cut(id, "/"); found {
		return before, after
	}
	return "", id
}

func nameOf(plain object) string      { return textAt(plain, "metadata", "name") }
func namespaceOf(plain object) string { return textAt(plain, "metadata", "namespace") }

func annotation(plain object, key string) string {
	return textAt(plain, "metadata", "annotations", key)
}

func asUnstructured(plain object) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: plain}
}
