// Command pulumi-resource-kubernetes is a Pulumi resource plugin for Kubernetes objects. It serves the resource types
// of @pulumi/kubernetes on machines where the official plugin cannot be downloaded.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/pulumi/pulumi/pkg/v3/resource/provider"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// version is the release of @pulumi/kubernetes whose resource types are served; set with -ldflags "-X main.version=".
var version = "4.34.2"

func main() {
	for _, arg := range os.Args[1:] {
		if arg == "--version" || arg == "-version" {
			fmt.Println(version)
			return
		}
	}
	err := provider.Main(pluginName, func(host *provider.HostClient) (pulumirpc.ResourceProviderServer, error) {
		if host != nil {
			go exitWithParent(os.Getppid())
		}
		return newServer(host), nil
	})
	if err != nil {
		fmt.Fprintf(os.Stderr, "pulumi-resource-%s: %v\n", pluginName, err)
		os.Exit(1)
	}
}

// exitWithParent ends the plugin when the engine that started it is gone. The engine's own health check takes minutes
// to notice, and a wait would go on for nobody.
func exitWithParent(parent int) {
	for range time.Tick(time.Second) {
		if os.Getppid() != parent {
			os.Exit(1)
		}
	}
}
