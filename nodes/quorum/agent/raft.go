package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/rpc"
)

// raftArgs are the flags of a raft node. Members of the beginning are numbered by a list they all have; a later one has
// itself added by a running member and keeps its number on its volume.
func raftArgs(ctx context.Context, s *settings, n *network, own *member) ([]string, error) {
	var begun origin
	if err := readJSON(filepath.Join(s.genesis, "origin.json"), &begun); err != nil {
		return nil, err
	}
	list, err := staticNodes(n, begun.Members)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.inData("static-nodes.json"), list, 0o644); err != nil {
		return nil, err
	}
	for _, m := range n.Members[:min(begun.Members, len(n.Members))] {
		err := wait(ctx, "the address of "+m.Host, func() error { _, err := lookUp(ctx, m.Host); return err })
		if err != nil {
			return nil, err
		}
	}
	args := []string{
		"--raft", "--raftport", strconv.Itoa(n.Ports.Raft), "--raftdnsenable", "--nodiscover",
		"--raftblocktime", strconv.Itoa(int(n.BlockPeriodMs)),
	}
	if s.ordinal < begun.Members {
		return args, nil
	}
	id, err := joinRaft(ctx, s, n, own)
	return append(args, "--raftjoinexisting", strconv.Itoa(id)), err
}

// joinRaft gives this node its number in the group: the one it has already, or a new one.
func joinRaft(ctx context.Context, s *settings, n *network, own *member) (int, error) {
	kept := s.inData("raft-id")
	if text, err := os.ReadFile(kept); err == nil {
		return strconv.Atoi(strings.TrimSpace(string(text)))
	}
	id := 0
	err := wait(ctx, "a member that adds this node", func() error {
		var err error
		id, err = askToJoin(ctx, n, own)
		return err
	})
	if err != nil {
		return 0, err
	}
	return id, os.WriteFile(kept, []byte(strconv.Itoa(id)), 0o644)
}

func askToJoin(ctx context.Context, n *network, own *member) (int, error) {
	client, err := rpc.DialContext(ctx, fmt.Sprintf("http://%s:%d", n.Members[0].Host, n.Ports.RPC))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	var cluster []struct {
		RaftID int    `json:"raftId"`
		NodeID string `json:"nodeId"`
	}
	if err := client.CallContext(ctx, &cluster, "raft_cluster"); err != nil {
		return 0, err
	}
	for _, m := range cluster {
		if m.NodeID == own.PublicKey {
			return m.RaftID, nil // added before, but the number was not kept
		}
	}
	var id int
	err = client.CallContext(ctx, &id, "raft_addPeer", n.enode(*own, own.Host))
	return id, err
}
