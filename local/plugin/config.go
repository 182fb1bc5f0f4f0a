package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// settings is the provider's configuration after environment variables and defaults.
type settings struct {
	kubeconfig, context, cluster, namespace string

	serverSideApply       bool
	patchForce            bool
	upsert                bool
	configMapMutable      bool
	secretMutable         bool
	deleteUnreachable     bool
	skipUpdateUnreachable bool
	quietDeprecations     bool
	rejectUnknown         bool
	awaitAll              bool

	managedBy string
	qps       float32
	burst     int
	timeout   int // seconds; 0 = client-go's default
}

// readSettings takes configuration values (a plain string each) and the environment; configuration wins.
func readSettings(config map[string]string, env func(string) string) (settings, error) {
	var problems []error
	flag := func(key, variable string, preset bool) bool {
		text := config[key]
		if text == "" && variable != "" {
			text = env(variable)
		}
		if text == "" {
			return preset
		}
		value, err := strconv.ParseBool(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("kubernetes:%s is %q: expected true or false", key, text))
		}
		return value
	}
	s := settings{
		kubeconfig: config["kubeconfig"], context: config["context"], cluster: config["cluster"],
		namespace:             config["namespace"],
		serverSideApply:       flag("enableServerSideApply", "PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY", true),
		patchForce:            flag("enablePatchForce", "PULUMI_K8S_ENABLE_PATCH_FORCE", false),
		upsert:                flag("upsertExistingObjects", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS", false),
		configMapMutable:      flag("enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE", false),
		secretMutable:         flag("enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE", false),
		deleteUnreachable:     flag("deleteUnreachable", "PULUMI_K8S_DELETE_UNREACHABLE", false),
		skipUpdateUnreachable: flag("skipUpdateUnreachable", "PULUMI_K8S_SKIP_UPDATE_UNREACHABLE", false),
		quietDeprecations:     flag("suppressDeprecationWarnings", "PULUMI_K8S_SUPPRESS_DEPRECATION_WARNINGS", false),
		rejectUnknown:         flag("rejectUnknownResources", "", false),
		awaitAll:              env("PULUMI_K8S_AWAIT_ALL") == "true",
		managedBy:             env("PULUMI_KUBERNETES_MANAGED_BY_LABEL"),
		qps:                   50,
		burst:                 120,
	}
	if s.managedBy == "" {
		s.managedBy = "pulumi"
	}
	if err := s.readClientSettings(config["kubeClientSettings"], env); err != nil {
		problems = append(problems, err)
	}
	return s, errors.Join(problems...)
}

func (s *settings) readClientSettings(text string, env func(string) string) error {
	values := map[string]json.Number{}
	if text != "" {
		if err := json.Unmarshal([]byte(text), &values); err != nil {
			return fmt.Errorf("kubernetes:kubeClientSettings is not an object of numbers: %w", err)
		}
	}
	for key, variable := range map[string]string{
		"burst": "PULUMI_K8S_CLIENT_BURST", "qps": "PULUMI_K8S_CLIENT_QPS", "timeout": "PULUMI_K8S_CLIENT_TIMEOUT",
	} {
		if _, given := values[key]; !given && env(variable) != "" {
			values[key] = json.Number(env(variable))
		}
		text, given := values[key]
		if !given {
			continue
		}
		number, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			return fmt.Errorf("kubernetes:kubeClientSettings.%s (or %s) is %q: expected a number", key, variable, text)
		}
		switch key {
		case "burst":
			s.burst = int(number)
		case "qps":
			s.qps = float32(number)
		default:
			s.timeout = int(number)
		}
	}
	return nil
}

// flattenConfig turns provider inputs into plain strings: objects and lists become JSON, unknown values are left out.
func flattenConfig(props resource.PropertyMap) (map[string]string, error) {
	flat := map[string]string{}
	for key, value := range props {
		if value.ContainsUnknowns() {
			continue
		}
		switch plain := toPlain(value).(type) {
		case nil:
		case string:
			flat[string(key)] = plain
		default:
			text, err := json.Marshal(plain)
			if err != nil {
				return nil, fmt.Errorf("provider setting %s: %w", key, err)
			}
			flat[string(key)] = string(text)
		}
	}
	return flat, nil
}

// CheckConfig refuses combinations of provider settings that cannot work.
func (s *server) CheckConfig(_ context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	news, err := unmarshal(req.GetNews(), "provider settings")
	if err != nil {
		return nil, err
	}
	flat, err := flattenConfig(news)
	if err != nil {
		return nil, err
	}
	failures := checkConfig(flat, news, resource.URN(req.GetUrn()), os.Getenv)
	if len(failures) > 0 {
		return &pulumirpc.CheckResponse{Failures: failures}, nil
	}
	return &pulumirpc.CheckResponse{Inputs: req.GetNews()}, nil
}

func checkConfig(
	flat map[string]string, news resource.PropertyMap, urn resource.URN, env func(string) string,
) []*pulumirpc.CheckFailure {
	var failures []*pulumirpc.CheckFailure
	fail := func(property, reason string) {
		failures = append(failures, &pulumirpc.CheckFailure{Property: property, Reason: reason})
	}
	for _, key := range []string{"renderYamlToDirectory", "alwaysRender"} {
		if flat[key] != "" && flat[key] != "false" {
			fail(key, needsOfficial("rendering manifests to a directory").Error())
		}
	}
	strict := flat["strictMode"] == "true"
	if config := env("PULUMI_CONFIG"); config != "" {
		values := map[string]string{}
		// A malformed PULUMI_CONFIG is the engine's to report; it only cannot switch strict mode on here.
		if json.Unmarshal([]byte(config), &values) == nil && values["kubernetes:config:strictMode"] == "true" {
			strict = true
		}
	}
	if strict {
		if strings.HasPrefix(urn.Name(), "default") && strings.Contains(string(urn.Type()), "pulumi:providers:") {
			fail("", "strictMode forbids the default kubernetes provider; pass an explicit provider to the resource")
		}
		for _, key := range []string{"kubeconfig", "context"} {
			if !news.HasValue(resource.PropertyKey(key)) {
				fail(key, fmt.Sprintf("strictMode requires %q on the kubernetes provider", key))
			}
		}
	}
	return failures
}

// DiffConfig decides whether changed provider settings mean another cluster, which replaces every resource.
func (s *server) DiffConfig(_ context.Context, req *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	olds, err := unmarshal(req.GetOlds(), "old provider settings")
	if err != nil {
		return nil, err
	}
	news, err := unmarshal(req.GetNews(), "new provider settings")
	if err != nil {
		return nil, err
	}
	diffs, replaces := diffConfig(olds, news)
	answer := &pulumirpc.DiffResponse{
		Changes: pulumirpc.DiffResponse_DIFF_NONE, Diffs: diffs, Replaces: replaces,
	}
	if len(diffs) > 0 {
		answer.Changes = pulumirpc.DiffResponse_DIFF_SOME
	}
	return answer, nil
}

func diffConfig(olds, news resource.PropertyMap) (diffs, replaces []string) {
	changed := map[string]bool{}
	for key := range mergedKeys(olds, news) {
		if strings.HasPrefix(key, "__") {
			continue
		}
		before, after := olds[resource.PropertyKey(key)], news[resource.PropertyKey(key)]
		if after.ContainsUnknowns() || !reflect.DeepEqual(toPlain(before), toPlain(after)) {
			changed[key] = true
			diffs = append(diffs, key)
		}
	}
	sort.Strings(diffs)
	if changed["renderYamlToDirectory"] {
		replaces = append(replaces, "renderYamlToDirectory")
	}
	oldID, newID := textOf(olds["clusterIdentifier"]), textOf(news["clusterIdentifier"])
	if oldID != "" && newID != "" {
		if oldID != newID {
			replaces = append(replaces, "clusterIdentifier")
		}
		return diffs, replaces
	}
	places := []string{"kubeconfig", "context", "cluster"}
	for _, key := range places {
		if news[resource.PropertyKey(key)].ContainsUnknowns() {
			return diffs, append(replaces, key)
		}
	}
	if (changed["kubeconfig"] || changed["context"] || changed["cluster"]) && differentClusters(olds, news) {
		for _, key := range places {
			if changed[key] {
				replaces = append(replaces, key)
			}
		}
	}
	return diffs, replaces
}

func differentClusters(olds, news resource.PropertyMap) bool {
	before := activeCluster(textOf(olds["kubeconfig"]), textOf(olds["context"]), textOf(olds["cluster"]))
	after := activeCluster(textOf(news["kubeconfig"]), textOf(news["context"]), textOf(news["cluster"]))
	return before != nil && after != nil && !reflect.DeepEqual(before, after)
}

// Configure reads the settings and connects. A cluster that cannot be reached is remembered, not an error, so that
// previews and clean-up still work.
func (s *server) Configure(
	ctx context.Context, req *pulumirpc.ConfigureRequest,
) (*pulumirpc.ConfigureResponse, error) {
	config := map[string]string{}
	for key, value := range req.GetVariables() {
		config[strings.TrimPrefix(key, "kubernetes:config:")] = value
	}
	var err error
	if s.settings, err = readSettings(config, os.Getenv); err != nil {
		return nil, err
	}
	s.announce.Do(func() { s.log(diag.Info, "", announcement) })
	s.cluster, err = connect(ctx, s.settings)
	if err != nil {
		return nil, err
	}
	if s.cluster.unreachable != nil {
		s.log(diag.Debug, "", "Kubernetes cluster is unreachable: %v", s.cluster.unreachable)
	}
	return &pulumirpc.ConfigureResponse{
		AcceptSecrets: true, SupportsPreview: true, SupportsAutonamingConfiguration: true,
	}, nil
}

func unmarshalOptions(label string) plugin.MarshalOptions {
	return plugin.MarshalOptions{Label: label, KeepUnknowns: true, KeepSecrets: true, SkipNulls: true}
}
