package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"sync/atomic"
	"time"
)

// serving answers whether the node serves.
type serving struct {
	ask atomic.Pointer[func(context.Context) error]
}

// by sets what tells whether the node serves.
func (s *serving) by(ready func(context.Context) error) { s.ask.Store(&ready) }

// serve starts the HTTP server for the kubelet's questions: /healthz while this program runs, /readyz once the node
// serves, with the reason while it does not.
func serve(address string) *serving {
	s := &serving{}
	s.by(func(context.Context) error { return errors.New("the node has not been started yet") })
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, request *http.Request) {
		ctx, cancel := context.WithTimeout(request.Context(), 2*time.Second)
		defer cancel()
		if err := (*s.ask.Load())(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { log.Fatal(server.ListenAndServe()) }()
	return s
}
