package main

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/fields"
)

const (
	// endpointQuiet is how long the endpoints of a Service without any ready one must stay unchanged.
	endpointQuiet = 10 * time.Second
	// ingressSilence is how long an Ingress waits for a first sign of a Service's endpoints.
	ingressSilence = 60 * time.Second
)

func serviceNeeds(self object) ([]watchSpec, error) {
	if !needsEndpoints(self) {
		return nil, nil
	}
	return []watchSpec{{
		name: slicesName, gvk: sliceKind, namespace: namespaceOf(self),
		labels: fields.OneTermEqualSelector("kubernetes.io/service-name", nameOf(self)).String(),
	}}, nil
}

// needsEndpoints is false for Services whose endpoints are somebody else's matter.
func needsEndpoints(self object) bool {
	return textAt(self, "spec", "type") != "ExternalName" && textAt(self, "spec", "clusterIP") != "None" &&
		len(mapAt(self, "spec", "selector")) > 0
}

func hasIngressAddress(self object) bool {
	return len(listAt(self, "status", "loadBalancer", "ingress")) > 0
}

// endpointCounts adds up the ready and not-ready endpoints of slices. Endpoints of pods that are going away count as
// neither.
func endpointCounts(slices []object) (ready, notReady int64) {
	for _, slice := range slices {
		for _, endpoint := range listAt(slice, "endpoints") {
			addresses := int64(len(listAt(endpoint, "addresses")))
			switch {
			case at(endpoint, "conditions", "terminating") == true:
			case at(endpoint, "conditions", "ready") == false:
				notReady += addresses
			default:
				ready += addresses
			}
		}
	}
	return ready, notReady
}

func judgeService(f facts) verdict {
	if textAt(f.self, "spec", "type") == "LoadBalancer" && !hasIngressAddress(f.self) {
		return verdict{
			status: "[2/3] Attempting to allocate IP address to Service",
			issues: []string{"Service was not allocated an IP address; does your cloud provider (or cluster) have a load balancer?"},
		}
	}
	if !needsEndpoints(f.self) || f.unseen[slicesName] {
		return verdict{ready: true}
	}
	ready, notReady := endpointCounts(f.related[slicesName])
	waiting := verdict{status: "[1/3] Finding Pods to direct traffic to"}
	switch {
	case notReady > 0:
		waiting.issues = []string{fmt.Sprintf("Service does not target any ready Pods: %d endpoints are ready, %d are not", ready, notReady)}
		return waiting
	case ready > 0 || f.last:
		return verdict{ready: true}
	}
	if left := endpointQuiet - f.quiet(slicesName); left > 0 {
		waiting.again = left
		waiting.issues = []string{"Service does not target any Pods"}
		return waiting
	}
	return verdict{ready: true}
}

func ingressNeeds(self object) ([]watchSpec, error) {
	namespace := namespaceOf(self)
	return []watchSpec{
		{name: servicesName, gvk: serviceKind, namespace: namespace},
		{name: slicesName, gvk: sliceKind, namespace: namespace},
	}, nil
}

// backends are the Services that an Ingress's rules lead to, of the present and the older API version.
func backends(self object) []string {
	var names []string
	seen := map[string]bool{}
	for _, each := range listAt(self, "spec", "rules") {
		for _, path := range listAt(each, "http", "paths") {
			name := textAt(path, "backend", "service", "name")
			if name == "" {
				name = textAt(path, "backend", "serviceName")
			}
			if name != "" && !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

func servesTraffic(f facts, service string) bool {
	for _, each := range f.related[servicesName] {
		if nameOf(each) == service && textAt(each, "spec", "type") == "ExternalName" {
			return true
		}
	}
	for _, slice := range f.related[slicesName] {
		if textAt(slice, "metadata", "labels", "kubernetes.io/service-name") == service && len(listAt(slice, "endpoints")) > 0 {
			return true
		}
	}
	return false
}

func judgeIngress(f facts) verdict {
	missing := ""
	for _, service := range backends(f.self) {
		if !servesTraffic(f, service) && !f.unseen[slicesName] {
			missing = fmt.Sprintf("the Service %q that a rule names has no endpoints", service)
			break
		}
	}
	if !hasIngressAddress(f.self) {
		answer := verdict{
			status: "[2/3] Waiting for update of .status.loadBalancer with hostname/IP",
			issues: []string{"Ingress .status.loadBalancer field was not updated with a hostname/IP address; is an ingress controller running?"},
		}
		if missing != "" {
			answer.issues = append(answer.issues, missing)
		}
		return answer
	}
	patience := endpointQuiet
	if len(f.related[slicesName]) == 0 {
		patience = ingressSilence
	}
	if left := patience - f.quiet(slicesName); missing != "" && left > 0 && !f.last {
		return verdict{status: "[1/3] Finding a matching service for each Ingress path", issues: []string{missing}, again: left}
	}
	return verdict{ready: true, warn: missing}
}
