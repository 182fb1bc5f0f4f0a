package main

import (
	"fmt"
	"maps"
	"math"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"google.golang.org/protobuf/types/known/structpb"
)

// unknown stands for a value that a preview does not know yet.
type unknown struct{}

// object is a Kubernetes object (or part of one) as plain JSON-like data; values may be unknown{} in a preview.
type object = map[string]any

func unmarshal(fields *structpb.Struct, label string) (resource.PropertyMap, error) {
	props, err := plugin.UnmarshalProperties(fields, unmarshalOptions(label))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", label, err)
	}
	return props, nil
}

func marshal(props resource.PropertyMap, label string) (*structpb.Struct, error) {
	fields, err := plugin.MarshalProperties(props, unmarshalOptions(label))
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", label, err)
	}
	return fields, nil
}

// toPlain drops the marks for secrets and turns whole numbers into integers, as Kubernetes wants them.
func toPlain(value resource.PropertyValue) any {
	switch {
	case value.IsSecret():
		return toPlain(value.SecretValue().Element)
	case value.IsComputed():
		return unknown{}
	case value.IsOutput():
		if !value.OutputValue().Known {
			return unknown{}
		}
		return toPlain(value.OutputValue().Element)
	case value.IsNumber():
		number := value.NumberValue()
		if number == math.Trunc(number) && math.Abs(number) < 1<<53 {
			return int64(number)
		}
		return number
	case value.IsArray():
		list := make([]any, 0, len(value.ArrayValue()))
		for _, element := range value.ArrayValue() {
			list = append(list, toPlain(element))
		}
		return list
	case value.IsObject():
		return plainMap(value.ObjectValue())
	case value.IsString():
		return value.StringValue()
	case value.IsBool():
		return value.BoolValue()
	case value.IsResourceReference():
		return string(value.ResourceReferenceValue().URN)
	default:
		return nil
	}
}

func plainMap(props resource.PropertyMap) object {
	plain := make(object, len(props))
	for key, value := range props {
		if element := toPlain(value); element != nil {
			plain[string(key)] = element
		}
	}
	return plain
}

// toProperty is the inverse of toPlain; nulls in maps are dropped.
func toProperty(plain any) resource.PropertyValue {
	switch typed := plain.(type) {
	case unknown:
		return resource.MakeComputed(resource.NewProperty(""))
	case object:
		return resource.NewProperty(propertyMap(typed))
	case []any:
		list := make([]resource.PropertyValue, 0, len(typed))
		for _, element := range typed {
			list = append(list, toProperty(element))
		}
		return resource.NewProperty(list)
	default:
		return resource.NewPropertyValue(plain)
	}
}

func propertyMap(plain object) resource.PropertyMap {
	props := make(resource.PropertyMap, len(plain))
	for key, element := range plain {
		if element != nil {
			props[resource.PropertyKey(key)] = toProperty(element)
		}
	}
	return props
}

// hasUnknown tells whether a preview value is missing anywhere below plain.
func hasUnknown(plain any) bool {
	switch typed := plain.(type) {
	case unknown:
		return true
	case object:
		for _, element := range typed {
			if hasUnknown(element) {
				return true
			}
		}
	case []any:
		for _, element := range typed {
			if hasUnknown(element) {
				return true
			}
		}
	}
	return false
}

func copyPlain(plain any) any {
	switch typed := plain.(type) {
	case object:
		clone := make(object, len(typed))
		for key, element := range typed {
			clone[key] = copyPlain(element)
		}
		return clone
	case []any:
		clone := make([]any, len(typed))
		for i, element := range typed {
			clone[i] = copyPlain(element)
		}
		return clone
	default:
		return plain
	}
}

func copyObject(plain object) object { return copyPlain(plain).(object) }

func mergedKeys(left, right resource.PropertyMap) map[string]bool {
	keys := map[string]bool{}
	for key := range maps.Keys(left) {
		keys[string(key)] = true
	}
	for key := range maps.Keys(right) {
		keys[string(key)] = true
	}
	return keys
}

func textOf(value resource.PropertyValue) string {
	text, _ := toPlain(value).(string)
	return text
}

// at reads a nested value; nil when any step is missing.
func at(plain any, path ...string) any {
	for _, key := range path {
		fields, ok := plain.(object)
		if !ok {
			return nil
		}
		plain = fields[key]
	}
	return plain
}

func textAt(plain any, path ...string) string {
	text, _ := at(plain, path...).(string)
	return text
}

// numberAt reads a nested number, whatever Go type it decoded to; missing is the given preset.
func numberAt(plain any, preset int64, path ...string) int64 {
	switch number := at(plain, path...).(type) {
	case int64:
		return number
	case float64:
		return int64(number)
	case int:
		return int64(number)
	default:
		return preset
	}
}

func listAt(plain any, path ...string) []any {
	list, _ := at(plain, path...).([]any)
	return list
}

func mapAt(plain any, path ...string) object {
	fields, _ := at(plain, path...).(object)
	return fields
}

// schemaKeys are JSON schema extension keys: Pulumi SDKs spell them with underscores, Kubernetes with dashes.
var schemaKeys = []string{
	"x-kubernetes-embedded-resource", "x-kubernetes-int-or-string", "x-kubernetes-list-map-keys",
	"x-kubernetes-list-type", "x-kubernetes-map-type", "x-kubernetes-preserve-unknown-fields",
	"x-kubernetes-validations",
}

var toDashes, toUnderscores = func() (map[string]string, map[string]string) {
	dashes, underscores := map[string]string{}, map[string]string{}
	for _, key := range schemaKeys {
		spelled := strings.ReplaceAll(key, "-", "_")
		dashes[spelled], underscores[key] = key, spelled
	}
	return dashes, underscores
}()

// renameKeys returns a copy with every key found in names renamed, at any depth.
func renameKeys(plain any, names map[string]string) any {
	switch typed := plain.(type) {
	case object:
		renamed := make(object, len(typed))
		for key, element := range typed {
			if other, found := names[key]; found {
				key = other
			}
			renamed[key] = renameKeys(element, names)
		}
		return renamed
	case []any:
		renamed := make([]any, len(typed))
		for i, element := range typed {
			renamed[i] = renameKeys(element, names)
		}
		return renamed
	default:
		return plain
	}
}

// forCluster and forState convert an object between the spelling Kubernetes and Pulumi programs use.
func forCluster(plain object) object { return renameKeys(plain, toDashes).(object) }
func forState(plain object) object   { return renameKeys(plain, toUnderscores).(object) }
