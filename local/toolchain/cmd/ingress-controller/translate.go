package main

import (
	"encoding/json"
	"fmt"
	"net"
	"sort"
	"strconv"
	"strings"

	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	networking "k8s.io/api/networking/v1"
)

// objects is what the API server says at one moment.
type objects struct {
	ingresses []*networking.Ingress // of our class only
	services  map[string]*v1.Service
	slices    map[string][]*discovery.EndpointSlice // by namespace/service
	secrets   map[string]*v1.Secret
}

// complaint is something wrong with an Ingress that does not stop the others.
type complaint struct {
	ingress *networking.Ingress
	reason  string
	text    string
}

// route is one path of one host, before it is put in order.
type route struct {
	host    string
	path    string
	exact   bool
	secure  bool // the host has a certificate: plain HTTP is sent there
	handler map[string]any
}

const notFound = "no Ingress has a rule for this host and path\n"

// translate makes Caddy's configuration of what the API server says.
//
// Source of the fields: Caddy's JSON structure, apps http, tls and pki; order of rules: the Ingress API, which asks for
// the longest path first and, among equals, exact before prefix.
func translate(all objects, admin string, storage string) (map[string]any, []complaint) {
	var complaints []complaint
	var routes []route
	certificates := certificateSet{byHost: map[string]bool{}}
	for _, ingress := range inOrder(all.ingresses) {
		complain := func(reason, format string, args ...any) {
			complaints = append(complaints, complaint{ingress, reason, fmt.Sprintf(format, args...)})
		}
		certificates.add(ingress, all.secrets, complain)
		routes = append(routes, routesOf(ingress, all, certificates.byHost, complain)...)
	}
	sortRoutes(routes)
	return config(routes, certificates, admin, storage), complaints
}

func inOrder(ingresses []*networking.Ingress) []*networking.Ingress {
	sorted := append([]*networking.Ingress{}, ingresses...)
	sort.Slice(sorted, func(i, j int) bool { // the older Ingress wins where two claim the same path
		a, b := sorted[i], sorted[j]
		if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
			return a.CreationTimestamp.Before(&b.CreationTimestamp)
		}
		return a.Namespace+"/"+a.Name < b.Namespace+"/"+b.Name
	})
	return sorted
}

type complainer func(reason, format string, args ...any)

func routesOf(ingress *networking.Ingress, all objects, secure map[string]bool, complain complainer) []route {
	var routes []route
	for _, rule := range ingress.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for _, path := range rule.HTTP.Paths {
			routes = append(routes, route{
				host:    rule.Host,
				path:    path.Path,
				exact:   path.PathType != nil && *path.PathType == networking.PathTypeExact,
				secure:  secure[rule.Host],
				handler: backendHandler(ingress.Namespace, path.Backend, all, complain),
			})
		}
	}
	if ingress.Spec.DefaultBackend != nil {
		handler := backendHandler(ingress.Namespace, *ingress.Spec.DefaultBackend, all, complain)
		routes = append(routes, route{path: "/", handler: handler})
	}
	return routes
}

func sortRoutes(routes []route) {
	sort.SliceStable(routes, func(i, j int) bool {
		a, b := routes[i], routes[j]
		if rank(a.host) != rank(b.host) {
			return rank(a.host) < rank(b.host)
		}
		if a.host != b.host {
			return a.host < b.host
		}
		if len(a.path) != len(b.path) {
			return len(a.path) > len(b.path)
		}
		return a.exact && !b.exact
	})
}

// rank puts named hosts before wildcards, and those before rules for every host.
func rank(host string) int {
	switch {
	case host == "":
		return 2
	case strings.HasPrefix(host, "*."):
		return 1
	default:
		return 0
	}
}

func backendHandler(namespace string, backend networking.IngressBackend, all objects, complain complainer) map[string]any {
	if backend.Service == nil {
		complain("UnsupportedBackend", "only backends that are Services are served")
		return respond(503, "this Ingress has a backend that is not a Service\n")
	}
	key := namespace + "/" + backend.Service.Name
	service := all.services[key]
	if service == nil {
		complain("ServiceNotFound", "there is no Service %s", key)
		return respond(503, "the Service of this Ingress does not exist\n")
	}
	port := servicePort(service, backend.Service.Port)
	if port == nil {
		complain("PortNotFound", "Service %s has no port %s", key, describePort(backend.Service.Port))
		return respond(503, "the Service of this Ingress has no such port\n")
	}
	upstreams := upstreamsOf(all.slices[key], port.Name)
	if len(upstreams) == 0 {
		return respond(503, "no pod of this Service is ready\n")
	}
	return map[string]any{
		"handler":        "reverse_proxy",
		"upstreams":      upstreams,
		"load_balancing": map[string]any{"selection_policy": map[string]any{"policy": "round_robin"}},
		"flush_interval": -1, // server-sent events and other streams are passed on as they come
	}
}

func servicePort(service *v1.Service, wanted networking.ServiceBackendPort) *v1.ServicePort {
	for i := range service.Spec.Ports {
		port := &service.Spec.Ports[i]
		if (wanted.Name != "" && port.Name == wanted.Name) || (wanted.Name == "" && port.Port == wanted.Number) {
			return port
		}
	}
	return nil
}

func describePort(port networking.ServiceBackendPort) string {
	if port.Name != "" {
		return port.Name
	}
	return strconv.Itoa(int(port.Number))
}

func upstreamsOf(slices []*discovery.EndpointSlice, portName string) []map[string]any {
	dials := map[string]bool{}
	for _, slice := range slices {
		for _, port := range slice.Ports {
			if port.Port == nil || (port.Name != nil && *port.Name != portName) || (port.Name == nil && portName != "") {
				continue
			}
			for _, endpoint := range slice.Endpoints {
				if endpoint.Conditions.Ready != nil && !*endpoint.Conditions.Ready {
					continue
				}
				for _, address := range endpoint.Addresses {
					dials[net.JoinHostPort(address, strconv.Itoa(int(*port.Port)))] = true
				}
			}
		}
	}
	sorted := make([]string, 0, len(dials))
	for dial := range dials {
		sorted = append(sorted, dial)
	}
	sort.Strings(sorted)
	upstreams := make([]map[string]any, len(sorted))
	for i, dial := range sorted {
		upstreams[i] = map[string]any{"dial": dial}
	}
	return upstreams
}

// certificateSet is the certificates to serve: given ones, and hosts that get one of Caddy's own authority.
type certificateSet struct {
	byHost   map[string]bool
	given    []map[string]any
	internal []string
}

func (c *certificateSet) add(ingress *networking.Ingress, secrets map[string]*v1.Secret, complain complainer) {
	for _, tls := range ingress.Spec.TLS {
		secret := secrets[ingress.Namespace+"/"+tls.SecretName]
		if secret == nil && tls.SecretName != "" {
			complain("SecretNotFound", "there is no TLS Secret %s/%s; a certificate of an own authority is served instead",
				ingress.Namespace, tls.SecretName)
		}
		if secret != nil {
			c.given = append(c.given, map[string]any{
				"certificate": string(secret.Data[v1.TLSCertKey]),
				"key":         string(secret.Data[v1.TLSPrivateKeyKey]),
			})
		}
		for _, host := range tls.Hosts {
			if !c.byHost[host] && secret == nil {
				c.internal = append(c.internal, host)
			}
			c.byHost[host] = true
		}
	}
}

func config(routes []route, certificates certificateSet, admin string, storage string) map[string]any {
	servers := map[string]any{"http": server(":80", routes, true)}
	apps := map[string]any{"http": map[string]any{"servers": servers}}
	if len(certificates.byHost) > 0 {
		servers["https"] = server(":443", routes, false)
		apps["tls"] = tlsApp(certificates)
		apps["pki"] = map[string]any{"certificate_authorities": map[string]any{
			"local": map[string]any{"name": "Orrery local", "install_trust": false},
		}}
	}
	return map[string]any{
		"admin": map[string]any{
			"listen":  admin,
			"origins": []string{adminHost},
			"config":  map[string]any{"persist": false},
		},
		"storage": map[string]any{"module": "file_system", "root": storage},
		"logging": map[string]any{"logs": map[string]any{"default": map[string]any{"level": "WARN"}}},
		"apps":    apps,
	}
}

func tlsApp(certificates certificateSet) map[string]any {
	loaders := map[string]any{}
	if len(certificates.given) > 0 {
		loaders["load_pem"] = certificates.given
	}
	app := map[string]any{"certificates": loaders}
	if len(certificates.internal) > 0 {
		loaders["automate"] = certificates.internal
		app["automation"] = map[string]any{"policies": []any{map[string]any{
			"subjects": certificates.internal,
			"issuers":  []any{map[string]any{"module": "internal"}},
		}}}
	}
	return app
}

func server(listen string, routes []route, plain bool) map[string]any {
	list := make([]any, 0, len(routes)+1)
	for _, one := range routes {
		if !plain && !one.secure {
			continue // without a certificate of its own a host is not served over TLS
		}
		handler := one.handler
		if plain && one.secure {
			handler = map[string]any{
				"handler":     "static_response",
				"status_code": 308,
				"headers":     map[string]any{"Location": []string{"https://{http.request.host}{http.request.uri}"}},
			}
		}
		list = append(list, map[string]any{
			"match":    []any{match(one)},
			"handle":   []any{handler},
			"terminal": true,
		})
	}
	list = append(list, map[string]any{"handle": []any{respond(404, notFound)}})
	result := map[string]any{
		"listen":          []string{listen},
		"routes":          list,
		"automatic_https": map[string]any{"disable": true},
	}
	if !plain {
		result["tls_connection_policies"] = []any{map[string]any{}}
	}
	return result
}

func match(one route) map[string]any {
	matcher := map[string]any{}
	if one.host != "" {
		matcher["host"] = []string{one.host}
	}
	path := one.path
	if path == "" {
		path = "/"
	}
	switch {
	case one.exact:
		matcher["path"] = []string{path}
	case path != "/":
		prefix := strings.TrimSuffix(path, "/") // a prefix matches whole elements of the path
		matcher["path"] = []string{prefix, prefix + "/*"}
	}
	return matcher
}

func respond(status int, text string) map[string]any {
	return map[string]any{"handler": "static_response", "status_code": status, "body": text}
}

// encode gives the same bytes for the same configuration.
func encode(config map[string]any) []byte {
	text, err := json.Marshal(config)
	if err != nil {
		panic("encode: " + err.Error()) // strings, numbers and maps of them: nothing that cannot be written
	}
	return text
}
