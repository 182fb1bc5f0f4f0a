package main

import (
	"errors"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

const (
	annotationAutonamed    = "pulumi.com/autonamed"
	annotationForce        = "pulumi.com/patchForce"
	annotationManager      = "pulumi.com/patchFieldManager"
	annotationPropagation  = "pulumi.com/deletionPropagationPolicy"
	annotationReplace      = "pulumi.com/replaceUnready"
	annotationSkipAwait    = "pulumi.com/skipAwait"
	annotationTimeout      = "pulumi.com/timeoutSeconds"
	annotationWaitFor      = "pulumi.com/waitFor"
	labelManagedBy         = "app.kubernetes.io/managed-by"
	annotationLastApplied  = "kubectl.kubernetes.io/last-applied-configuration"
	annotationRevision     = "deployment.kubernetes.io/revision"
	autonameRandomHexChars = 8
)

func isAutonamed(inputs object) bool { return annotation(inputs, annotationAutonamed) == "true" }

// metadataKnown is false while a preview does not know any of the metadata; then nothing may be added to it.
func metadataKnown(inputs object) bool {
	_, open := inputs["metadata"].(unknown)
	return !open
}

// isNamed is true when the program chose a name; one that is not known yet counts.
func isNamed(inputs object) bool {
	if !metadataKnown(inputs) {
		return true
	}
	name := at(inputs, "metadata", "name")
	return name != nil && name != ""
}

func hasGenerateName(inputs object) bool {
	prefix := at(inputs, "metadata", "generateName")
	return prefix != nil && prefix != ""
}

// autonaming is what the engine says about names: its options, its seed, and the resource's logical name.
type autonaming struct {
	resourceName string
	seed         []byte
	options      *pulumirpc.CheckRequest_AutonamingOptions
}

// assignName gives an unnamed object a name: the one it had, or a new one. Inputs are changed in place.
func assignName(inputs, old object, how autonaming) error {
	if isNamed(inputs) || hasGenerateName(inputs) {
		return nil
	}
	if old != nil {
		if !isAutonamed(old) {
			// Its explicit name was removed: Diff reports that as a replacement, and the engine asks again without olds.
			return nil
		}
		setAutoname(inputs, nameOf(old))
		return nil
	}
	name, err := how.newName()
	if err != nil {
		return err
	}
	setAutoname(inputs, name)
	return nil
}

func (how autonaming) newName() (string, error) {
	if how.options != nil {
		switch how.options.GetMode() {
		case pulumirpc.CheckRequest_AutonamingOptions_DISABLE:
			return "", errors.New("automatic naming is disabled for this resource: set .metadata.name")
		default:
			return how.options.GetProposedName(), nil
		}
	}
	name, err := resource.NewUniqueName(how.seed, how.resourceName+"-", autonameRandomHexChars, 0, nil)
	if err != nil {
		return "", fmt.Errorf("making a name for %s: %w", how.resourceName, err)
	}
	return name, nil
}

func setAutoname(inputs object, name string) {
	metadata := ensureMap(inputs, "metadata")
	metadata["name"] = name
	if _, open := metadata["annotations"].(unknown); !open {
		ensureMap(metadata, "annotations")[annotationAutonamed] = "true"
	}
}

func ensureMap(parent object, key string) object {
	if existing, ok := parent[key].(object); ok {
		return existing
	}
	created := object{}
	parent[key] = created
	return created
}
