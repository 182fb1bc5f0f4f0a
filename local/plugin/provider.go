package main

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/pkg/v3/resource/provider"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

const pluginName = "kubernetes"

// announcement is logged once per plugin process, so that nobody takes this plugin for the official one.
const announcement = "Orrery's own kubernetes plugin is in use, because the official Pulumi kubernetes plugin is not " +
	"installed. Helm, kustomize, yaml/v2 components and render mode need the official one " +
	"(pulumi plugin install resource kubernetes)."

// server answers the engine's calls for one configured provider.
type server struct {
	pulumirpc.UnimplementedResourceProviderServer

	hostMu   sync.Mutex
	host     *provider.HostClient
	announce sync.Once

	// stop ends every running wait; stopped is its context.
	stopped context.Context
	stop    context.CancelFunc

	settings settings
	cluster  *cluster
	crds     crdScopes
}

func newServer(host *provider.HostClient) *server {
	ctx, cancel := context.WithCancel(context.Background())
	return &server{host: host, stopped: ctx, stop: cancel}
}

// GetPluginInfo reports the version of @pulumi/kubernetes this plugin serves.
func (s *server) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: version}, nil
}

// Handshake tells the engine which kinds of values it may send.
func (s *server) Handshake(
	context.Context, *pulumirpc.ProviderHandshakeRequest,
) (*pulumirpc.ProviderHandshakeResponse, error) {
	return &pulumirpc.ProviderHandshakeResponse{AcceptSecrets: true, SupportsAutonamingConfiguration: true}, nil
}

// Attach connects to the engine when the plugin was started by hand (PULUMI_DEBUG_PROVIDERS).
func (s *server) Attach(_ context.Context, req *pulumirpc.PluginAttach) (*emptypb.Empty, error) {
	host, err := provider.NewHostClient(req.GetAddress())
	if err != nil {
		return nil, fmt.Errorf("attaching to the engine at %s: %w", req.GetAddress(), err)
	}
	s.hostMu.Lock()
	defer s.hostMu.Unlock()
	s.host = host
	return &emptypb.Empty{}, nil
}

// Cancel ends every running wait with a cancellation error.
func (s *server) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	s.stop()
	return &emptypb.Empty{}, nil
}

// GetMapping and GetMappings answer that no other ecosystem's names are mapped.
func (s *server) GetMapping(context.Context, *pulumirpc.GetMappingRequest) (*pulumirpc.GetMappingResponse, error) {
	return &pulumirpc.GetMappingResponse{}, nil
}

func (s *server) GetMappings(context.Context, *pulumirpc.GetMappingsRequest) (*pulumirpc.GetMappingsResponse, error) {
	return &pulumirpc.GetMappingsResponse{}, nil
}

// Construct serves no component: those of the official plugin carry Helm, kustomize and its own YAML ordering.
func (s *server) Construct(_ context.Context, req *pulumirpc.ConstructRequest) (*pulumirpc.ConstructResponse, error) {
	return nil, needsOfficial(fmt.Sprintf("the component %s", req.GetType()))
}

// Call and Parameterize have no use here.
func (s *server) Call(_ context.Context, req *pulumirpc.CallRequest) (*pulumirpc.CallResponse, error) {
	return nil, status.Errorf(codes.Unimplemented, "the kubernetes plugin has no method %s", req.GetTok())
}

func (s *server) Parameterize(
	context.Context, *pulumirpc.ParameterizeRequest,
) (*pulumirpc.ParameterizeResponse, error) {
	return nil, needsOfficial("generating resource types from CRDs (parameterization)")
}

// operation returns a context that ends with the request or with Cancel, whichever comes first.
func (s *server) operation(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	release := context.AfterFunc(s.stopped, func() { cancel(errCancelled) })
	return ctx, func() { release(); cancel(nil) }
}

// log writes a lasting message about a resource to the engine.
func (s *server) log(severity diag.Severity, urn resource.URN, format string, args ...any) {
	s.hostMu.Lock()
	host := s.host
	s.hostMu.Unlock()
	if host == nil {
		return
	}
	// The engine may be going away; a log line that cannot be delivered changes nothing about the operation.
	_ = host.Log(context.Background(), severity, urn, fmt.Sprintf(format, args...))
}

// logStatus writes a transient line beside the resource in the engine's display; an empty text clears it.
func (s *server) logStatus(severity diag.Severity, urn resource.URN, text string) {
	s.hostMu.Lock()
	host := s.host
	s.hostMu.Unlock()
	if host == nil {
		return
	}
	_ = host.LogStatus(context.Background(), severity, urn, strings.TrimSpace(text))
}

// needsOfficial is the error for what only the official plugin does.
func needsOfficial(what string) error {
	return status.Errorf(codes.Unimplemented,
		"%s is not served by Orrery's own kubernetes plugin. Install the official one with "+
			"`pulumi plugin install resource kubernetes %s` (it is then used instead), or write the objects as "+
			"kubernetes resources", what, version)
}
