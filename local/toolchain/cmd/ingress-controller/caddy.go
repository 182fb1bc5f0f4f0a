package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// adminHost is the host that requests to the socket name; Caddy answers only those it expects.
const adminHost = "127.0.0.1"

// caddy is the admin interface of a Caddy server on a Unix socket.
type caddy struct {
	client *http.Client
}

func newCaddy(socket string) *caddy {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &caddy{client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: dial}}}
}

// load replaces the whole configuration; Caddy keeps the old one when the new one is not accepted.
func (c *caddy) load(ctx context.Context, config []byte) error {
	_, err := c.ask(ctx, http.MethodPost, "/load", config)
	return err
}

// serves tells whether Caddy has a configuration of ours. After a restart it has only its first one, without servers.
func (c *caddy) serves(ctx context.Context) (bool, error) {
	answer, err := c.ask(ctx, http.MethodGet, "/config/apps", nil)
	return err == nil && bytes.Contains(answer, []byte(`"servers"`)), err
}

func (c *caddy) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+adminHost+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("caddy does not answer: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	if err != nil {
		return nil, fmt.Errorf("caddy's answer to %s: %w", path, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("caddy answered %d to %s: %s", response.StatusCode, path, bytes.TrimSpace(answer))
	}
	return answer, nil
}
