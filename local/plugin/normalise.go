package main

import (
	"encoding/base64"

	"k8s.io/apimachinery/pkg/runtime"
)

// serverFields are metadata that only the API server may write; a program that sets them is corrected.
var serverFields = []string{
	"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields",
	"resourceVersion", "uid",
}

// normalise brings an object into the form the API server will store, as far as that is known beforehand, so that
// later comparisons with live objects see only real differences. The input is not changed.
func normalise(written object) object {
	inputs := copyObject(written)
	if metadata := mapAt(inputs, "metadata"); metadata != nil {
		for _, key := range serverFields {
			delete(metadata, key)
		}
	}
	gvk := groupVersionKind(inputs)
	switch {
	case gvk.Group == "" && gvk.Kind == "Secret":
		foldStringData(inputs)
	case gvk.Group == "apiextensions.k8s.io" && gvk.Kind == "CustomResourceDefinition":
		delete(inputs, "status")
		if at(inputs, "spec", "preserveUnknownFields") == false {
			delete(mapAt(inputs, "spec"), "preserveUnknownFields")
		}
		// The typed CRD drops extension keys in the spelling of Pulumi SDKs; the object is sound as it is.
		return inputs
	}
	if hasUnknown(inputs) {
		return inputs
	}
	sample, err := builtin.New(gvk)
	if err != nil {
		return inputs // custom kind: its schema is not known here
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(inputs, sample); err != nil {
		return inputs // wrong types are for the API server to name
	}
	typed, err := runtime.DefaultUnstructuredConverter.ToUnstructured(sample)
	if err != nil {
		return inputs
	}
	return prune(typed, inputs).(object)
}

// foldStringData moves the plain text entries of a Secret into data, as the API server does. Entries not known yet
// become unknown data entries.
func foldStringData(secret object) {
	texts, ok := secret["stringData"].(object)
	if !ok {
		return
	}
	data := object{}
	if existing, present := secret["data"]; present {
		given, isMap := existing.(object)
		if !isMap {
			return // wholly unknown, or of a wrong type: nothing can be folded into it
		}
		data = given
	}
	for key, value := range texts {
		switch typed := value.(type) {
		case string:
			data[key] = base64.StdEncoding.EncodeToString([]byte(typed))
		case unknown:
			data[key] = unknown{}
		default:
			return
		}
	}
	secret["data"] = data
	delete(secret, "stringData")
}

// prune keeps of live only what shape has: maps by key, lists by index. It is how a live object full of defaults is
// compared with the few fields a program wrote. Elements that others appended to a list of objects (an injected
// container, a mounted token) are left out; a list of plain values is kept whole.
func prune(live, shape any) any {
	switch want := shape.(type) {
	case object:
		have, ok := live.(object)
		if !ok {
			return live
		}
		kept := object{}
		for key, inner := range want {
			if value, found := have[key]; found && value != nil {
				kept[key] = prune(value, inner)
			}
		}
		return kept
	case []any:
		have, ok := live.([]any)
		if !ok {
			return live
		}
		kept := make([]any, 0, len(have))
		for i, value := range have {
			_, isObject := value.(object)
			if i < len(want) {
				value = prune(value, want[i])
			} else if isObject {
				break
			}
			kept = append(kept, value)
		}
		return kept
	default:
		return live
	}
}
