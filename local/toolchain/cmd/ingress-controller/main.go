// Command ingress-controller serves Ingress objects through a Caddy server beside it: it watches them with the
// Services, endpoints and certificates they name, gives Caddy its configuration through its admin interface, and
// writes the address into the objects' status.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "ingress-controller:", err)
		os.Exit(1)
	}
}

func run() error {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig file of the cluster")
	admin := flag.String("caddy-admin", "", "Caddy's admin address, unix//path/of/socket")
	storage := flag.String("storage", "", "folder for certificates of an own authority")
	address := flag.String("address", "", "address that Ingress objects are reachable at")
	flag.Parse()
	socket, found := strings.CutPrefix(*admin, "unix/")
	if !found || *kubeconfig == "" || *storage == "" || *address == "" {
		return fmt.Errorf("--kubeconfig, --caddy-admin=unix//socket, --storage and --address are needed")
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return fmt.Errorf("read %s: %w", *kubeconfig, err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	defer broadcaster.Shutdown()
	broadcaster.StartRecordingToSink(&typed.EventSinkImpl{Interface: client.CoreV1().Events("")})
	events := broadcaster.NewRecorder(scheme.Scheme, v1.EventSource{Component: "ingress-controller"})
	s := settings{admin: *admin, storage: *storage, address: *address}
	return newController(client, newCaddy(socket), events, s).run(ctx)
}
