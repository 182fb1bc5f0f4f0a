package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	networking "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func backend(service string, port int32) networking.IngressBackend {
	return networking.IngressBackend{Service: &networking.IngressServiceBackend{
		Name: service, Port: networking.ServiceBackendPort{Number: port},
	}}
}

func pathTo(path string, kind networking.PathType, service string) networking.HTTPIngressPath {
	return networking.HTTPIngressPath{Path: path, PathType: &kind, Backend: backend(service, 80)}
}

func ingressOf(name string, host string, paths ...networking.HTTPIngressPath) *networking.Ingress {
	return &networking.Ingress{
		ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: name},
		Spec: networking.IngressSpec{Rules: []networking.IngressRule{{
			Host:             host,
			IngressRuleValue: networking.IngressRuleValue{HTTP: &networking.HTTPIngressRuleValue{Paths: paths}},
		}}},
	}
}

// world holds the Services named, each with one ready pod at the address given.
func world(ingresses []*networking.Ingress, addresses map[string]string) objects {
	all := objects{
		ingresses: ingresses,
		services:  map[string]*v1.Service{},
		slices:    map[string][]*discovery.EndpointSlice{},
		secrets:   map[string]*v1.Secret{},
	}
	for name, address := range addresses {
		target, http := int32(8080), "http"
		all.services["demo/"+name] = &v1.Service{Spec: v1.ServiceSpec{Ports: []v1.ServicePort{{Name: http, Port: 80}}}}
		all.slices["demo/"+name] = []*discovery.EndpointSlice{{
			Ports:     []discovery.EndpointPort{{Name: &http, Port: &target}},
			Endpoints: []discovery.Endpoint{{Addresses: []string{address}}},
		}}
	}
	return all
}

// served lists, in order, what the plain server answers: "host path -> upstream, status or redirect".
func served(config map[string]any, server string) []string {
	var lines []string
	var decoded struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct {
					Routes []struct {
						Match []struct {
							Host []string
							Path []string
						}
						Handle []struct {
							Handler    string
							Upstreams  []struct{ Dial string }
							StatusCode int `json:"status_code"`
						}
					}
				}
			}
		}
	}
	if err := json.Unmarshal(encode(config), &decoded); err != nil {
		panic(err)
	}
	for _, route := range decoded.Apps.HTTP.Servers[server].Routes {
		where := "*"
		for _, match := range route.Match {
			where = strings.Join(match.Host, ",") + " " + strings.Join(match.Path, ",")
		}
		handler := route.Handle[0]
		what := map[int]string{0: "", 308: "redirect", 404: "404", 503: "503"}[handler.StatusCode]
		for _, upstream := range handler.Upstreams {
			what += upstream.Dial
		}
		lines = append(lines, strings.TrimSpace(strings.TrimSpace(where)+" -> "+what))
	}
	return lines
}

func TestRulesComeInTheOrderTheIngressAPIAsksFor(t *testing.T) {
	all := world([]*networking.Ingress{
		ingressOf("any", "", pathTo("/", networking.PathTypePrefix, "a")),
		ingressOf("wild", "*.example.org", pathTo("/", networking.PathTypePrefix, "a")),
		ingressOf("named", "app.example.org",
			pathTo("/", networking.PathTypePrefix, "a"),
			pathTo("/api", networking.PathTypePrefix, "b"),
			pathTo("/api", networking.PathTypeExact, "a"),
			pathTo("/api/v2/", networking.PathTypePrefix, "a")),
	}, map[string]string{"a": "198.18.0.2", "b": "198.18.0.3"})
	config, complaints := translate(all, "unix//s", "/c")
	if len(complaints) > 0 {
		t.Errorf("complaints %v, want none", complaints)
	}
	want := []string{
		"app.example.org /api/v2,/api/v2/* -> 198.18.0.2:8080",
		"app.example.org /api -> 198.18.0.2:8080",
		"app.example.org /api,/api/* -> 198.18.0.3:8080",
		"app.example.org -> 198.18.0.2:8080",
		"*.example.org -> 198.18.0.2:8080",
		"-> 198.18.0.2:8080",
		"* -> 404",
	}
	if got := served(config, "http"); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestABackendThatCannotServeIsAnsweredForAndNamed(t *testing.T) {
	all := world([]*networking.Ingress{ingressOf("one", "h",
		pathTo("/gone", networking.PathTypePrefix, "gone"),
		networking.HTTPIngressPath{Path: "/port", Backend: backend("a", 81)},
		pathTo("/idle", networking.PathTypePrefix, "a"),
	)}, map[string]string{"a": "198.18.0.2"})
	unready := false
	all.slices["demo/a"][0].Endpoints[0].Conditions.Ready = &unready
	config, complaints := translate(all, "unix//s", "/c")
	want := []string{"h /gone,/gone/* -> 503", "h /port,/port/* -> 503", "h /idle,/idle/* -> 503", "* -> 404"}
	if got := served(config, "http"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	var reasons []string
	for _, one := range complaints {
		reasons = append(reasons, one.reason)
	}
	if want := []string{"ServiceNotFound", "PortNotFound"}; !reflect.DeepEqual(reasons, want) {
		t.Errorf("complaints %v, want %v", reasons, want)
	}
}

func TestTheOlderIngressWinsAPathThatTwoClaim(t *testing.T) {
	younger := ingressOf("a", "h", pathTo("/", networking.PathTypePrefix, "a"))
	younger.CreationTimestamp = metav1.NewTime(time.Unix(200, 0))
	older := ingressOf("b", "h", pathTo("/", networking.PathTypePrefix, "b"))
	older.CreationTimestamp = metav1.NewTime(time.Unix(100, 0))
	all := world([]*networking.Ingress{younger, older}, map[string]string{"a": "198.18.0.2", "b": "198.18.0.3"})
	config, _ := translate(all, "unix//s", "/c")
	if got := served(config, "http")[0]; got != "h -> 198.18.0.3:8080" {
		t.Errorf("first rule %q, want the older Ingress's", got)
	}
}

func TestAHostWithACertificateIsServedOverTLSAndRedirectedToIt(t *testing.T) {
	secure := ingressOf("one", "s", pathTo("/", networking.PathTypePrefix, "a"))
	secure.Spec.TLS = []networking.IngressTLS{{Hosts: []string{"s"}, SecretName: "missing"}}
	plain := ingressOf("two", "p", pathTo("/", networking.PathTypePrefix, "a"))
	all := world([]*networking.Ingress{secure, plain}, map[string]string{"a": "198.18.0.2"})
	config, complaints := translate(all, "unix//s", "/c")
	if got, want := served(config, "http"), []string{"p -> 198.18.0.2:8080", "s -> redirect", "* -> 404"}; !reflect.DeepEqual(got, want) {
		t.Errorf("http: got %v, want %v", got, want)
	}
	if got, want := served(config, "https"), []string{"s -> 198.18.0.2:8080", "* -> 404"}; !reflect.DeepEqual(got, want) {
		t.Errorf("https: got %v, want %v", got, want)
	}
	if len(complaints) != 1 || complaints[0].reason != "SecretNotFound" {
		t.Errorf("complaints %v, want SecretNotFound", complaints)
	}
}

func TestTheSameObjectsGiveTheSameBytes(t *testing.T) {
	all := world([]*networking.Ingress{
		ingressOf("one", "a", pathTo("/x", networking.PathTypePrefix, "a"), pathTo("/y", networking.PathTypePrefix, "b")),
	}, map[string]string{"a": "198.18.0.2", "b": "198.18.0.3"})
	first, _ := translate(all, "unix//s", "/c")
	for range 20 {
		again, _ := translate(all, "unix//s", "/c")
		if string(encode(again)) != string(encode(first)) {
			t.Fatal("differs from one time to the next: Caddy would be reloaded for nothing")
		}
	}
}

// CADDY names a Caddy binary; the integration test of the local cluster serves from a real one in any case.
func TestCaddyAcceptsIt(t *testing.T) {
	program := os.Getenv("CADDY")
	if program == "" {
		t.Skip("CADDY names no binary")
	}
	secure := ingressOf("one", "s.example.org", pathTo("/", networking.PathTypePrefix, "a"))
	secure.Spec.TLS = []networking.IngressTLS{{Hosts: []string{"s.example.org"}}}
	config, _ := translate(world([]*networking.Ingress{secure}, map[string]string{"a": "198.18.0.2"}), "unix//tmp/s", t.TempDir())
	file := filepath.Join(t.TempDir(), "caddy.json")
	if err := os.WriteFile(file, encode(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command(program, "validate", "--config", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}
