package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// expandHome replaces a leading ~ by the user's home directory.
func expandHome(path string) string {
	if path != "~" && !strings.HasPrefix(path, "~/") {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return path
	}
	return filepath.Join(home, strings.TrimPrefix(path, "~"))
}

// loadKubeconfig takes a path or the content of a kubeconfig; with neither, client-go's own rules apply
// ($KUBECONFIG, ~/.kube/config, in-cluster). Overrides name a context or cluster in it.
func loadKubeconfig(pathOrContent, context, cluster string) (clientcmd.ClientConfig, error) {
	overrides := &clientcmd.ConfigOverrides{CurrentContext: context, Context: api.Context{Cluster: cluster}}
	if pathOrContent == "" {
		rules := clientcmd.NewDefaultClientConfigLoadingRules()
		return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides), nil
	}
	content := pathOrContent
	// Content is far longer than any path may be, or holds a newline: asking the file system about it would only fail.
	if path := expandHome(pathOrContent); !strings.Contains(path, "\n") && len(path) < 4096 {
		if data, err := os.ReadFile(path); err == nil {
			content = string(data)
		} else if !os.IsNotExist(err) {
			return nil, fmt.Errorf("reading kubeconfig %s: %w", path, err)
		} else if !strings.ContainsAny(path, "{:") {
			return nil, fmt.Errorf("kubeconfig %s does not exist", path)
		}
	}
	config, err := clientcmd.Load([]byte(content))
	if err != nil {
		return nil, fmt.Errorf("kubernetes:kubeconfig is neither a readable file nor valid kubeconfig content: %w", err)
	}
	return clientcmd.NewNonInteractiveClientConfig(*config, context, overrides, nil), nil
}

// activeCluster is the cluster entry that a kubeconfig, context and cluster name lead to, or nil.
func activeCluster(pathOrContent, context, cluster string) *api.Cluster {
	loader, err := loadKubeconfig(pathOrContent, context, cluster)
	if err != nil {
		return nil
	}
	raw, err := loader.RawConfig()
	if err != nil {
		return nil
	}
	if context == "" {
		context = raw.CurrentContext
	}
	if cluster == "" {
		active := raw.Contexts[context]
		if active == nil {
			return nil
		}
		cluster = active.Cluster
	}
	entry := raw.Clusters[cluster]
	if entry == nil {
		return nil
	}
	compared := entry.DeepCopy()
	compared.LocationOfOrigin = ""
	return compared
}
