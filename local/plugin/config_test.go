package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

func noEnv(string) string { return "" }

func TestReadSettings(t *testing.T) {
	env := map[string]string{"PULUMI_K8S_ENABLE_PATCH_FORCE": "true", "PULUMI_K8S_DELETE_UNREACHABLE": "true", "PULUMI_K8S_CLIENT_QPS": "7"}
	got, err := readSettings(map[string]string{"deleteUnreachable": "false", "kubeClientSettings": `{"burst": 9}`}, func(key string) string { return env[key] })
	if err != nil {
		t.Fatal(err)
	}
	if !got.serverSideApply || !got.patchForce || got.deleteUnreachable || got.burst != 9 || got.qps != 7 {
		t.Errorf("got %+v", got)
	}
	for key, value := range map[string]string{"enablePatchForce": "maybe", "kubeClientSettings": "{"} {
		if _, err := readSettings(map[string]string{key: value}, noEnv); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s=%s: got %v", key, value, err)
		}
	}
}

const kubeconfig = `
apiVersion: v1
kind: Config
current-context: one
clusters: [{name: a, cluster: {server: "https://a"}}, {name: b, cluster: {server: "https://b"}}]
contexts: [{name: one, context: {cluster: a, namespace: mine}}, {name: two, context: {cluster: b}}]
`

func TestDiffConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	of := func(fields object) resource.PropertyMap { return propertyMap(fields) }
	cases := []struct {
		name            string
		olds, news      object
		diffs, replaces []string
	}{
		{"nothing", object{"kubeconfig": kubeconfig}, object{"kubeconfig": kubeconfig}, nil, nil},
		{"namespace", object{"namespace": "a"}, object{"namespace": "b"}, []string{"namespace"}, nil},
		{"content to path", object{"kubeconfig": kubeconfig}, object{"kubeconfig": path}, []string{"kubeconfig"}, nil},
		{"another context", object{"kubeconfig": path, "context": "one"}, object{"kubeconfig": path, "context": "two"}, []string{"context"}, []string{"context"}},
		{"another cluster", object{"kubeconfig": path, "cluster": "a"}, object{"kubeconfig": path, "cluster": "b"}, []string{"cluster"}, []string{"cluster"}},
		{"unknown", object{"kubeconfig": path}, object{"kubeconfig": unknown{}}, []string{"kubeconfig"}, []string{"kubeconfig"}},
		{"same identifier", object{"kubeconfig": path, "clusterIdentifier": "x"}, object{"kubeconfig": path, "context": "two", "clusterIdentifier": "x"}, []string{"context"}, nil},
		{"other identifier", object{"clusterIdentifier": "x"}, object{"clusterIdentifier": "y"}, []string{"clusterIdentifier"}, []string{"clusterIdentifier"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			diffs, replaces := diffConfig(of(c.olds), of(c.news))
			if !sameStrings(diffs, c.diffs) || !sameStrings(replaces, c.replaces) {
				t.Errorf("got %v replacing %v", diffs, replaces)
			}
		})
	}
}

func TestCheckConfig(t *testing.T) {
	fails := func(flat map[string]string, urn resource.URN) int {
		props := resource.PropertyMap{}
		for key, value := range flat {
			props[resource.PropertyKey(key)] = resource.NewProperty(value)
		}
		return len(checkConfig(flat, props, urn, noEnv))
	}
	explicit := resource.URN("urn:pulumi:s::p::pulumi:providers:kubernetes::mine")
	standard := resource.URN("urn:pulumi:s::p::pulumi:providers:kubernetes::default_4_34_2")
	if got := fails(map[string]string{"renderYamlToDirectory": "x"}, explicit); got != 1 {
		t.Errorf("render mode: %d failures", got)
	}
	if got := fails(map[string]string{"strictMode": "true"}, standard); got != 3 {
		t.Errorf("strict mode on the default provider: %d failures", got)
	}
	if got := fails(map[string]string{"strictMode": "true", "kubeconfig": "x", "context": "y"}, explicit); got != 0 {
		t.Errorf("strict mode with all it wants: %d failures", got)
	}
}

func TestKubeconfigOverrides(t *testing.T) {
	loader, err := loadKubeconfig(kubeconfig, "two", "")
	if err != nil {
		t.Fatal(err)
	}
	config, err := loader.ClientConfig()
	if err != nil || config.Host != "https://b" {
		t.Errorf("context two leads to %v, %v", config, err)
	}
	loader, err = loadKubeconfig(kubeconfig, "", "b")
	if err != nil {
		t.Fatal(err)
	}
	if config, err = loader.ClientConfig(); err != nil || config.Host != "https://b" {
		t.Errorf("cluster b leads to %v, %v", config, err)
	}
	if namespace, _, err := loader.Namespace(); err != nil || namespace != "mine" {
		t.Errorf("namespace of the context: %q, %v", namespace, err)
	}
	if _, err := loadKubeconfig("no/such/file", "", ""); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("got %v", err)
	}
}

func TestDecodeYAML(t *testing.T) {
	got, err := decodeYAML("---\napiVersion: v1\nkind: A\n---\n# nothing\n---\napiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: B}]\n")
	if err != nil || len(got) != 2 || textAt(got[1], "kind") != "B" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := decodeYAML("a: 1"); err == nil {
		t.Error("an object without kind was accepted")
	}
}
