package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

const (
	oldestMajor, oldestMinor = 1, 13
	connectTimeout           = 10 * time.Second
	unknownServerMinor       = 14
)

// cluster is the API server of one provider. When unreachable is set, only namespace is of use.
type cluster struct {
	namespace    string
	unreachable  error
	major, minor int

	dynamic dynamic.Interface
	typed   kubernetes.Interface

	mapperMu sync.Mutex
	mapper   *restmapper.DeferredDiscoveryRESTMapper
}

// connect opens the clients and asks the server for its version. A kubeconfig or server that does not work yields a
// cluster marked unreachable; only settings no retry could mend are errors.
func connect(ctx context.Context, s settings) (*cluster, error) {
	c := &cluster{namespace: s.namespace}
	if c.namespace == "" {
		c.namespace = metav1.NamespaceDefault
	}
	loader, err := loadKubeconfig(s.kubeconfig, s.context, s.cluster)
	if err != nil {
		c.unreachable = err
		return c, nil
	}
	if s.namespace == "" {
		if fromContext, _, err := loader.Namespace(); err == nil && fromContext != "" {
			c.namespace = fromContext
		}
	}
	config, err := loader.ClientConfig()
	if err != nil {
		c.unreachable = fmt.Errorf("unable to load the kubeconfig: %w", err)
		return c, nil
	}
	config.QPS, config.Burst = s.qps, s.burst
	config.Timeout = time.Duration(s.timeout) * time.Second
	config.UserAgent = "pulumi-resource-kubernetes/" + version + " (orrery)"
	config.WarningHandler = rest.NoWarnings{}
	if err := c.open(config); err != nil {
		return nil, err
	}
	found, err := serverVersion(ctx, config)
	if err != nil {
		c.unreachable = fmt.Errorf("no answer from the API server at %s: %w", config.Host, err)
		return c, nil
	}
	c.major, c.minor = parseVersion(found)
	if c.major < oldestMajor || c.major == oldestMajor && c.minor < oldestMinor {
		return nil, fmt.Errorf("the cluster runs Kubernetes %s; %d.%d or later is needed", found.GitVersion, oldestMajor, oldestMinor)
	}
	return c, nil
}

func (c *cluster) open(config *rest.Config) error {
	var err error
	if c.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return fmt.Errorf("making a Kubernetes client: %w", err)
	}
	if c.typed, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("making a Kubernetes client: %w", err)
	}
	finder, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("making a Kubernetes discovery client: %w", err)
	}
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(finder))
	return nil
}

func serverVersion(ctx context.Context, config *rest.Config) (*apiversion.Info, error) {
	probe := rest.CopyConfig(config)
	probe.Timeout = connectTimeout
	finder, err := discovery.NewDiscoveryClientForConfig(probe)
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	var info *apiversion.Info
	go func() {
		defer close(done)
		info, err = finder.ServerVersion()
	}()
	select {
	case <-done:
		return info, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// parseVersion reads major and minor release numbers; one that cannot be read counts as 1.14.
func parseVersion(info *apiversion.Info) (major, minor int) {
	major, errMajor := strconv.Atoi(info.Major)
	minor, errMinor := strconv.Atoi(strings.TrimRight(info.Minor, "+"))
	if errMajor != nil || errMinor != nil {
		return oldestMajor, unknownServerMinor
	}
	return major, minor
}

// mapping finds the REST path of a kind, asking the server again once if it is not known yet.
func (c *cluster) mapping(gvk schema.GroupVersionKind) (*meta.RESTMapping, error) {
	c.mapperMu.Lock()
	defer c.mapperMu.Unlock()
	found, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if isNoMatch(err) {
		// client-go's mapper asks again only once in its life, and definitions may be installed at any time.
		c.mapper.Reset()
		return c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	return found, err
}

// forget drops what is known about served kinds, after a definition was added or removed.
func (c *cluster) forget() {
	c.mapperMu.Lock()
	defer c.mapperMu.Unlock()
	c.mapper.Reset()
}

// client gives access to the objects of a kind in a namespace (ignored for cluster-scoped kinds).
func (c *cluster) client(gvk schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	if c.unreachable != nil {
		return nil, unreachableError(c.unreachable)
	}
	mapping, err := c.mapping(gvk)
	if err != nil {
		return nil, fmt.Errorf("finding %s on the server: %w", gvk, err)
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return c.dynamic.Resource(mapping.Resource), nil
	}
	if namespace == "" {
		namespace = c.namespace
	}
	return c.dynamic.Resource(mapping.Resource).Namespace(namespace), nil
}

func (c *cluster) get(ctx context.Context, gvk schema.GroupVersionKind, namespace, name string) (*unstructured.Unstructured, error) {
	client, err := c.client(gvk, namespace)
	if err != nil {
		return nil, err
	}
	return client.Get(ctx, name, metav1.GetOptions{})
}

func unreachableError(reason error) error {
	return fmt.Errorf("configured Kubernetes cluster is unreachable: %w", reason)
}

// isNoMatch is true when the server does not serve the kind at all.
func isNoMatch(err error) bool {
	var noKind *meta.NoKindMatchError
	var noResource *meta.NoResourceMatchError
	return errors.As(err, &noKind) || errors.As(err, &noResource)
}
