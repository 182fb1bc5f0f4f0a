package main

import (
	_ "embed"
	"encoding/json"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// fieldPath is a list of keys; "*" stands for every element of a list.
type fieldPath []string

// kindRule says which fields of a kind Kubernetes will not change in place.
type kindRule struct {
	group    string
	versions []string
	kinds    []string
	paths    []fieldPath
}

// The table is data because the previews of pull requests, which run without any plugin, read it as well.
//
//go:embed forcenew.json
var forceNewTable []byte

var (
	kindRules      = readKindRules(forceNewTable)
	identityFields = []fieldPath{{"metadata", "name"}, {"metadata", "namespace"}}
)

func readKindRules(table []byte) []kindRule {
	var rows []struct {
		Group    string
		Versions []string
		Kinds    []string
		Fields   []string
	}
	if err := json.Unmarshal(table, &rows); err != nil {
		panic("forcenew.json: " + err.Error()) // part of the program: it cannot be wrong at run time only
	}
	rules := make([]kindRule, len(rows))
	for i, row := range rows {
		paths := make([]fieldPath, len(row.Fields))
		for j, field := range row.Fields {
			paths[j] = strings.Split(field, ".")
		}
		rules[i] = kindRule{row.Group, row.Versions, row.Kinds, paths}
	}
	return rules
}

// mutability is how the provider was told to treat ConfigMaps and Secrets, and what the new inputs say.
type mutability struct {
	configMap, secret bool // may change in place
	immutable         bool // the new inputs say immutable: true
}

// replaceFields lists the fields of a kind whose change means a new object.
func replaceFields(gvk schema.GroupVersionKind, patch bool, may mutability) []fieldPath {
	if patch {
		return identityFields
	}
	paths := append([]fieldPath{}, identityFields...)
	if gvk.Group == "" && gvk.Version == "v1" {
		switch {
		case gvk.Kind == "ConfigMap" && may.configMap && !may.immutable:
			return paths
		case gvk.Kind == "Secret" && may.secret && !may.immutable:
			return append(paths, fieldPath{"type"})
		}
	}
	for _, rule := range kindRules {
		if rule.group == gvk.Group && contains(rule.versions, gvk.Version) && contains(rule.kinds, gvk.Kind) {
			paths = append(paths, rule.paths...)
		}
	}
	return paths
}

func contains(list []string, wanted string) bool {
	for _, element := range list {
		if element == wanted {
			return true
		}
	}
	return false
}

// forcesReplacement tells whether a change touches one of the given fields: it is at or below one, or it sets a whole
// subtree that holds one. Deleting a parent does not count, except the whole metadata.
func forcesReplacement(c change, fields []fieldPath) bool {
	if c.kind == changeDelete && len(c.path) == 1 && c.path[0] == "metadata" {
		return true
	}
	for _, field := range fields {
		if touches(c.path, c.after, field, c.kind != changeDelete) {
			return true
		}
	}
	return false
}

func touches(path []any, after any, field fieldPath, lookInside bool) bool {
	for i, step := range path {
		if i >= len(field) {
			return true // the change is below the field
		}
		if !matchStep(field[i], step) {
			return false
		}
	}
	if len(path) == len(field) {
		return true
	}
	return lookInside && holds(after, field[len(path):])
}

func matchStep(pattern string, step any) bool {
	if key, ok := step.(string); ok {
		return pattern == key
	}
	return pattern == "*"
}

// holds tells whether a value contains the rest of a field's path. A value that is not known yet may.
func holds(value any, rest fieldPath) bool {
	if len(rest) == 0 {
		return true
	}
	switch typed := value.(type) {
	case unknown:
		return true
	case object:
		inner, found := typed[rest[0]]
		return found && holds(inner, rest[1:])
	case []any:
		if rest[0] == "*" {
			for _, element := range typed {
				if holds(element, rest[1:]) {
					return true
				}
			}
		}
	}
	return false
}
