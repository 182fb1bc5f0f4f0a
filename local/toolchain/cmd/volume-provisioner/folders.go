package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// folders makes and removes volumes below root.
type folders struct {
	root string
}

func newFolders(root string) (*folders, error) {
	if !filepath.IsAbs(root) || filepath.Clean(root) == "/" {
		return nil, fmt.Errorf("--root %q: want the absolute path of a folder that holds nothing but volumes", root)
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, fmt.Errorf("make the volume root: %w", err)
	}
	return &folders{root: filepath.Clean(root)}, nil
}

// folderOf is where the volume of a claim lives. The volume's name is unique;
// namespace and claim are there for people who look for their data.
func (f *folders) folderOf(namespace, claim, volume string) string {
	return filepath.Join(f.root, strings.Join([]string{namespace, claim, volume}, "_"))
}

// contains tells whether path is a folder directly below root.
func (f *folders) contains(path string) bool {
	return filepath.IsAbs(path) && path == filepath.Clean(path) && filepath.Dir(path) == f.root
}

// Provision makes the folder and describes the volume. A folder that is there
// already belongs to an earlier try at the same volume and is used as it is.
func (f *folders) Provision(
	_ context.Context, options controller.ProvisionOptions,
) (*v1.PersistentVolume, controller.ProvisioningState, error) {
	claim := options.PVC
	if problem := unsupported(options); problem != nil {
		return nil, controller.ProvisioningFinished, problem
	}
	path := f.folderOf(claim.Namespace, claim.Name, options.PVName)
	// Like the root of a fresh file system: root's, and a pod's group gets in by its fsGroup.
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, controller.ProvisioningFinished, fmt.Errorf("make the folder of claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	mode := v1.PersistentVolumeFilesystem
	volume := &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: v1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   claim.Spec.AccessModes,
			VolumeMode:                    &mode,
			MountOptions:                  options.StorageClass.MountOptions,
			Capacity: v1.ResourceList{
				v1.ResourceStorage: claim.Spec.Resources.Requests[v1.ResourceStorage],
			},
			PersistentVolumeSource: v1.PersistentVolumeSource{Local: &v1.LocalVolumeSource{Path: path}},
			NodeAffinity:           onNode(options.SelectedNodeName),
		},
	}
	return volume, controller.ProvisioningFinished, nil
}

// Delete removes the folder of a volume whose claim is gone.
func (f *folders) Delete(_ context.Context, volume *v1.PersistentVolume) error {
	if volume.Spec.Local == nil || !f.contains(volume.Spec.Local.Path) {
		return fmt.Errorf("volume %s is not a folder below %s: not touched", volume.Name, f.root)
	}
	if err := os.RemoveAll(volume.Spec.Local.Path); err != nil {
		return fmt.Errorf("remove the folder of volume %s: %w", volume.Name, err)
	}
	return nil
}

func unsupported(options controller.ProvisionOptions) error {
	claim := options.PVC
	name := claim.Namespace + "/" + claim.Name
	if claim.Spec.Selector != nil {
		return fmt.Errorf("claim %s: a selector cannot be met by a volume that is made for the claim; remove it", name)
	}
	if claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode == v1.PersistentVolumeBlock {
		return fmt.Errorf("claim %s: block volumes are not served here; use volumeMode Filesystem", name)
	}
	if options.SelectedNodeName == "" {
		return fmt.Errorf("claim %s: no node was chosen; the StorageClass must have volumeBindingMode WaitForFirstConsumer", name)
	}
	for _, mode := range claim.Spec.AccessModes {
		if mode == v1.ReadWriteMany || mode == v1.ReadOnlyMany {
			return fmt.Errorf("claim %s: %s would need a volume many nodes can mount; use ReadWriteOnce", name, mode)
		}
	}
	return nil
}

func onNode(name string) *v1.VolumeNodeAffinity {
	return &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{
		MatchExpressions: []v1.NodeSelectorRequirement{{
			Key: v1.LabelHostname, Operator: v1.NodeSelectorOpIn, Values: []string{name},
		}},
	}}}}
}
