// Command coredns is CoreDNS with the plugins the local cluster's DNS needs and
// no others: a default build compiles three cloud SDKs for plugins nobody here
// could configure.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
)

// A plugin's place in this list is its place in the chain a query walks.
var directives = []string{"health", "ready", "errors", "cache", "kubernetes"}

func main() {
	dnsserver.Directives = directives
	coremain.Run()
}
