// Command volume-provisioner serves the local cluster's StorageClass: a claim
// becomes a folder below one root and a `local` PersistentVolume that points at
// it. A `local` volume, unlike a hostPath one, honours a pod's fsGroup, so pods
// that do not run as root can write to it.
//
// Sizes are recorded and reported but not enforced: a folder has no quota.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig file of the cluster to serve")
	root := flag.String("root", "", "absolute path of the folder that holds the volumes")
	name := flag.String("provisioner-name", "orrery.dev/volume-provisioner", "provisioner name in the StorageClass")
	klog.InitFlags(nil)
	flag.Parse()
	if err := run(*kubeconfig, *root, *name); err != nil {
		fmt.Fprintf(os.Stderr, "volume-provisioner: %v\n", err)
		os.Exit(1)
	}
}

func run(kubeconfig, root, name string) error {
	folders, err := newFolders(root)
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("read --kubeconfig %q: %w", kubeconfig, err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client from %q: %w", kubeconfig, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// One cluster has one of these, kept by its supervisor: nobody to elect.
	controller.NewProvisionController(ctx, client, name, folders, controller.LeaderElection(false)).Run(ctx)
	return nil
}
