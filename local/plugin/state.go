package main

import (
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"google.golang.org/protobuf/types/known/structpb"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	keyInputs     = "__inputs"
	keyAPIVersion = "__initialApiVersion"
	keyManager    = "__fieldManager"
	createManager = "pulumi-kubernetes"
)

// state is what the engine stores about a resource: the live object with the inputs that led to it.
type state struct {
	inputs            resource.PropertyMap // with secret marks
	live              object
	initialAPIVersion string
	manager           string
}

func (s state) plainInputs() object { return plainMap(s.inputs) }

// readState understands the present form (live object at top level) and the older one ({inputs, live}).
func readState(olds, oldInputs *structpb.Struct) (state, error) {
	props, err := unmarshal(olds, "old state")
	if err != nil {
		return state{}, err
	}
	stored := state{
		initialAPIVersion: textOf(props[keyAPIVersion]),
		manager:           textOf(props[keyManager]),
	}
	inputs, live := props[keyInputs], resource.PropertyMap{}
	if old, found := props["inputs"]; found && props["live"].IsObject() && !props.HasValue(keyInputs) {
		inputs, live = old, props["live"].ObjectValue()
	} else {
		for key, value := range props {
			if !strings.HasPrefix(string(key), "__") {
				live[key] = value
			}
		}
	}
	stored.live = plainMap(live)
	if inputs.IsSecret() {
		inputs = inputs.SecretValue().Element
	}
	if inputs.IsObject() {
		stored.inputs = inputs.ObjectValue()
		return stored, nil
	}
	stored.inputs, err = unmarshal(oldInputs, "old inputs")
	return stored, err
}

// write is the inverse of readState: live object at top level, bookkeeping beside it, secrets marked.
func (s state) write(gvk schema.GroupVersionKind) resource.PropertyMap {
	props := markSecrets(gvk, s.inputs, propertyMap(forState(s.live)))
	if props == nil {
		props = resource.PropertyMap{}
	}
	props[keyInputs] = resource.NewProperty(markSecrets(gvk, s.inputs, s.inputs))
	props[keyAPIVersion] = resource.NewProperty(s.initialAPIVersion)
	props[keyManager] = resource.NewProperty(s.manager)
	return props
}

func (s state) marshal(gvk schema.GroupVersionKind) (*structpb.Struct, error) {
	return marshal(s.write(gvk), "state")
}

// newManager makes the name under which this resource's fields are owned by server-side apply.
func (s *server) newManager() (string, error) {
	if !s.settings.serverSideApply {
		return createManager, nil
	}
	return resource.NewUniqueHex(createManager+"-", 8, 0)
}

// manager picks the field manager: the annotation, else the one used so far, else a new one.
func (s *server) manager(inputs object, stored string) (string, error) {
	if !s.settings.serverSideApply {
		return createManager, nil
	}
	if chosen := annotation(inputs, annotationManager); chosen != "" {
		return chosen, nil
	}
	if stored != "" {
		return stored, nil
	}
	return s.newManager()
}
