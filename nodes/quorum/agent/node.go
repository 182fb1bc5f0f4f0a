package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
)

const (
	pollEvery = 2 * time.Second
	// waitLimit ends a wait for what should have come: the kubelet then starts this container again, and says so.
	waitLimit = 2 * time.Minute
)

func runNode(ctx context.Context) error {
	s, err := readSettings(nodeGroup)
	if err != nil {
		return err
	}
	serving := serve(s.listen)
	groupKey, err := readGroupKey(s.keyFile)
	if err != nil {
		return err
	}
	key, err := deriveKey(groupKey, nodeGroup, s.ordinal)
	if err != nil {
		return err
	}
	document, own, err := ownMember(ctx, s)
	if err != nil {
		return err
	}
	if own.PublicKey != publicID(key) {
		return fmt.Errorf("the key of node %d is not the one the network's document names: Secret and ConfigMap are of different stacks", s.ordinal)
	}
	if err := writeKey(s.inRun("nodekey"), key); err != nil {
		return err
	}
	if err := makeFirstBlock(ctx, s); err != nil {
		return err
	}
	if err := waitForManager(ctx, s); err != nil {
		return err
	}
	args, err := gethArgs(ctx, s, document, own)
	if err != nil {
		return err
	}
	caretaker := &caretaker{settings: s, client: clientOf(s.inRun("geth.ipc")), added: map[string]string{}}
	serving.by(caretaker.ready)
	go caretaker.run(ctx)
	return supervise(ctx, "geth", args...)
}

// ownMember waits until the network's document has this node: a new node's pod may be there before the document is.
func ownMember(ctx context.Context, s *settings) (*network, *member, error) {
	var document *network
	var own *member
	err := wait(ctx, fmt.Sprintf("node %d to be in the network's document", s.ordinal), func() error {
		var err error
		if document, err = readNetwork(s.networkFile); err != nil {
			return err
		}
		if own = document.member(s.ordinal); own == nil {
			return fmt.Errorf("it has %d members", len(document.Members))
		}
		return nil
	})
	return document, own, err
}

// makeFirstBlock has geth write the first block, or check that the volume holds the chain that began with it.
func makeFirstBlock(ctx context.Context, s *settings) error {
	if err := os.MkdirAll(s.data, 0o750); err != nil {
		return err
	}
	output, err := exec.CommandContext(ctx, "geth", "--datadir", s.data, "init", s.genesis+"/genesis.json").CombinedOutput()
	if err == nil {
		return nil
	}
	os.Stderr.Write(output)
	if text := string(output); strings.Contains(text, "incompatible genesis") || strings.Contains(text, "mismatching") {
		return fmt.Errorf("the volume holds a chain with another first block: destroy the network and deploy it again")
	}
	return fmt.Errorf("geth init: %w", err)
}

// waitForManager waits until the private-transaction manager of this pod answers; geth ends at once without it.
func waitForManager(ctx context.Context, s *settings) error {
	if s.ptm == "" {
		return nil
	}
	client := &http.Client{Timeout: 5 * time.Second}
	url := s.ptm + "/upcheck"
	if isPath(s.ptm) {
		url = "http://ptm/upcheck"
		client.Transport = &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", s.ptm)
			},
		}
	}
	return wait(ctx, "the private-transaction manager at "+s.ptm, func() error {
		answer, err := client.Get(url)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("it answers %s", answer.Status)
		}
		return nil
	})
}

// wait asks again and again until there is no error, and says now and then what it waits for.
func wait(ctx context.Context, what string, ask func() error) error {
	var last error
	for begun := time.Now(); ; {
		if last = ask(); last == nil {
			return nil
		}
		if time.Since(begun) > waitLimit {
			return fmt.Errorf("waited %s for %s: %w", waitLimit, what, last)
		}
		log.Printf("waiting for %s: %v", what, last)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}

func gethArgs(ctx context.Context, s *settings, n *network, own *member) ([]string, error) {
	args := []string{
		"--datadir", s.data, "--nodekey", s.inRun("nodekey"), "--ipcpath", s.inRun("geth.ipc"),
		"--keystore", s.inRun("keystore"), "--networkid", strconv.FormatUint(n.ChainID, 10),
		"--port", strconv.Itoa(n.Ports.P2P), "--nat", "extip:" + s.podIP, "--syncmode", "full", "--gcmode", "archive",
		"--cache", "64", "--maxpeers", strconv.Itoa(2*len(n.Members) + 50),
		"--http", "--http.addr", "0.0.0.0", "--http.port", strconv.Itoa(n.Ports.RPC), "--http.vhosts", "*",
		"--graphql", "--graphql.vhosts", "*", // how a whole block ended, in one request
		"--ws", "--ws.addr", "0.0.0.0", "--ws.port", strconv.Itoa(n.Ports.WS), "--ws.origins", "*",
		"--metrics", "--metrics.addr", "0.0.0.0", "--metrics.port", strconv.Itoa(n.Ports.Metrics),
		"--txpool.accountslots", "1024", "--txpool.globalslots", "32768",
		"--txpool.accountqueue", "1024", "--txpool.globalqueue", "32768",
		"--rpc.allow-unprotected-txs",
	}
	modules := "eth,net,web3,txpool," + n.api()
	args = append(args, "--http.api", modules, "--ws.api", modules)
	args = append(args, managerArgs(s)...)
	if n.Client == "geth" {
		args = append(args, "--authrpc.port", "0", "--state.scheme", "hash", "--miner.gasprice", "1") // the least it takes
	} else {
		args = append(args, "--miner.threads", "1", "--miner.gasprice", "0")
	}
	if n.Consensus == "raft" {
		raft, err := raftArgs(ctx, s, n, own)
		return append(args, raft...), err
	}
	if n.isIstanbul() {
		// A block made anew of more transactions starts the wait for a silent proposer again: made every 3 s, as is usual,
		// no round would end while transactions come (consensus/istanbul/qbft/core/request.go of GoQuorum 22.7.4).
		args = append(args, "--emitcheckpoints", "--miner.recommit", "24h")
	}
	if own.Validator {
		args = append(args, "--mine")
	}
	if n.Consensus == "clique" { // the only one whose blocks are signed by an account
		account, err := unlockArgs(ctx, s, own)
		if err != nil {
			return nil, err
		}
		args = append(args, account...)
	}
	return discoveryArgs(ctx, args, n)
}

func managerArgs(s *settings) []string {
	switch {
	case s.ptm == "":
		return nil
	case isPath(s.ptm):
		return []string{"--ptm.socket", s.ptm}
	default:
		return []string{"--ptm.url", s.ptm}
	}
}

// discoveryArgs points geth to the bootnode by address: a name that does not resolve yet would end it.
func discoveryArgs(ctx context.Context, args []string, n *network) ([]string, error) {
	if n.Bootnode == nil {
		return append(args, "--bootnodes", ""), nil
	}
	var address string
	err := wait(ctx, "the address of the bootnode", func() (err error) {
		address, err = lookUp(ctx, n.Bootnode.Host)
		return err
	})
	url := fmt.Sprintf("enode://%s@%s:0?discport=%d", n.Bootnode.PublicKey, address, n.Bootnode.Port)
	return append(args, "--bootnodes", url), err
}

// lookUp finds the IPv4 address of a name.
func lookUp(ctx context.Context, host string) (string, error) {
	found, err := net.DefaultResolver.LookupIP(ctx, "ip4", host)
	if err != nil {
		return "", err
	}
	return found[0].String(), nil
}

// unlockArgs gives geth an account with the node's own key, under a password that nobody keeps.
func unlockArgs(ctx context.Context, s *settings, own *member) ([]string, error) {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	password := s.inRun("password")
	if err := os.WriteFile(password, []byte(hex.EncodeToString(secret)), 0o600); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(s.inRun("keystore")); err != nil {
		return nil, err
	}
	add := exec.CommandContext(ctx, "geth", "--datadir", s.data, "--keystore", s.inRun("keystore"), "--lightkdf",
		"account", "import", "--password", password, s.inRun("nodekey"))
	if output, err := add.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("geth account import: %w: %s", err, output)
	}
	address := own.Address.Hex()
	return []string{"--unlock", address, "--password", password, "--allow-insecure-unlock", "--miner.etherbase", address}, nil
}

func runBootnode(ctx context.Context) error {
	s, err := readSettings(bootnodeGroup)
	if err != nil {
		return err
	}
	serving := serve(s.listen)
	groupKey, err := readGroupKey(s.keyFile)
	if err != nil {
		return err
	}
	key, err := deriveKey(groupKey, bootnodeGroup, 0)
	if err != nil {
		return err
	}
	if err := writeKey(s.inRun("nodekey"), key); err != nil {
		return err
	}
	log.Printf("bootnode %s (%s)", publicID(key), crypto.PubkeyToAddress(key.PublicKey))
	serving.by(func(context.Context) error { return nil })
	return supervise(ctx, "bootnode", "-nodekey", s.inRun("nodekey"), "-addr", ":"+os.Getenv("QUORUM_DISCOVERY_PORT"))
}

// staticNodes is the list raft numbers its first members by.
func staticNodes(n *network, count int) ([]byte, error) {
	var urls []string
	for _, m := range n.Members[:min(count, len(n.Members))] {
		urls = append(urls, n.enode(m, m.Host))
	}
	return json.MarshalIndent(urls, "", "  ")
}
