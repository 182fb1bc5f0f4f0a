package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// markSecrets copies the secret marks of inputs to the same places of out, and marks the content of a Secret whether
// or not the program did. Maps are marked key by key; a list with any secret in it becomes secret as a whole.
func markSecrets(gvk schema.GroupVersionKind, inputs, out resource.PropertyMap) resource.PropertyMap {
	marked := markMap(inputs, out)
	if gvk.Group == "" && gvk.Kind == "Secret" {
		for _, key := range []resource.PropertyKey{"data", "stringData"} {
			if value, found := marked[key]; found && !value.IsSecret() {
				marked[key] = resource.MakeSecret(value)
			}
		}
		// kubectl apply leaves a copy of the whole Secret, content included, in an annotation.
		path := resource.PropertyPath{"metadata", "annotations", annotationLastApplied}
		holder := resource.NewProperty(marked)
		if value, found := path.Get(holder); found && !value.IsSecret() {
			path.Set(holder, resource.MakeSecret(value))
		}
	}
	return marked
}

func markMap(inputs, out resource.PropertyMap) resource.PropertyMap {
	marked := make(resource.PropertyMap, len(out))
	for key, value := range out {
		if source, found := inputs[key]; found {
			value = markValue(source, value)
		}
		marked[key] = value
	}
	return marked
}

func markValue(source, value resource.PropertyValue) resource.PropertyValue {
	switch {
	case value.IsSecret():
		return value
	case source.IsSecret():
		return resource.MakeSecret(value)
	case source.IsOutput() && source.OutputValue().Secret:
		return resource.MakeSecret(value)
	case source.IsObject() && value.IsObject():
		return resource.NewProperty(markMap(source.ObjectValue(), value.ObjectValue()))
	case source.IsArray() && source.ContainsSecrets():
		return resource.MakeSecret(value)
	default:
		return value
	}
}
