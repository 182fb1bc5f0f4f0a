package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common"
)

// network is what all nodes read: who belongs to it, with public keys and addresses only. components/quorum/plan.ts
// writes it; its file changes when members come or go.
type network struct {
	Client        string    `json:"client"`
	Consensus     string    `json:"consensus"`
	ChainID       uint64    `json:"chainId"`
	BlockPeriodMs float64   `json:"blockPeriodMs"`
	Members       []member  `json:"members"`
	Bootnode      *bootnode `json:"bootnode"`
	Ports         ports     `json:"ports"`
}

type member struct {
	Ordinal   int            `json:"ordinal"`
	Host      string         `json:"host"`
	PublicKey string         `json:"publicKey"`
	Address   common.Address `json:"address"`
	Validator bool           `json:"validator"`
}

type bootnode struct {
	Host      string `json:"host"`
	Port      int    `json:"port"`
	PublicKey string `json:"publicKey"`
}

type ports struct {
	P2P     int `json:"p2p"`
	Raft    int `json:"raft"`
	RPC     int `json:"rpc"`
	WS      int `json:"ws"`
	Metrics int `json:"metrics"`
}

// origin is what was true when the chain began and stays so.
type origin struct {
	Members int `json:"members"`
}

func readJSON(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func readNetwork(path string) (*network, error) {
	var document network
	if err := readJSON(path, &document); err != nil {
		return nil, err
	}
	return &document, nil
}

// member finds a member by its number; nil when the network has none such.
func (n *network) member(ordinal int) *member {
	for index := range n.Members {
		if n.Members[index].Ordinal == ordinal {
			return &n.Members[index]
		}
	}
	return nil
}

// isIstanbul tells whether blocks are agreed on by IBFT or QBFT, which share an API.
func (n *network) isIstanbul() bool { return n.Consensus == "ibft" || n.Consensus == "qbft" }

// api is the JSON-RPC namespace of the consensus.
func (n *network) api() string {
	if n.isIstanbul() {
		return "istanbul"
	}
	return n.Consensus
}

// enode is a member's URL; by name it stays the same wherever its pod runs.
func (n *network) enode(m member, host string) string {
	url := fmt.Sprintf("enode://%s@%s:%d", m.PublicKey, host, n.Ports.P2P)
	if n.Consensus == "raft" {
		return fmt.Sprintf("%s?discport=0&raftport=%d", url, n.Ports.Raft)
	}
	return url
}

var podOrdinal = regexp.MustCompile(`-(\d+)$`)

// ordinalOf reads a node's number from its pod's name: `quorum-3`.
func ordinalOf(pod string) (int, error) {
	match := podOrdinal.FindStringSubmatch(pod)
	if match == nil {
		return 0, fmt.Errorf("the pod's name %q does not end in a number", pod)
	}
	return strconv.Atoi(match[1])
}

// settings come from the environment; nothing in them is secret.
type settings struct {
	pod, podIP  string
	ordinal     int
	keyFile     string
	networkFile string
	genesis     string
	data, run   string
	listen      string
	ptm         string
}

func readSettings(group string) (*settings, error) {
	s := &settings{
		pod: os.Getenv("QUORUM_POD_NAME"), podIP: os.Getenv("QUORUM_POD_IP"),
		keyFile: os.Getenv("QUORUM_GROUP_KEY_FILE"), networkFile: os.Getenv("QUORUM_NETWORK_FILE"),
		genesis: os.Getenv("QUORUM_GENESIS_DIR"), data: os.Getenv("QUORUM_DATA_DIR"), run: os.Getenv("QUORUM_RUN_DIR"),
		listen: os.Getenv("QUORUM_LISTEN"), ptm: os.Getenv("QUORUM_PTM"),
	}
	if s.keyFile == "" || s.run == "" || s.listen == "" {
		return nil, fmt.Errorf("QUORUM_GROUP_KEY_FILE, QUORUM_RUN_DIR and QUORUM_LISTEN must be set")
	}
	if group == bootnodeGroup {
		return s, nil
	}
	if s.podIP == "" || s.networkFile == "" || s.genesis == "" || s.data == "" {
		return nil, fmt.Errorf("QUORUM_POD_IP, QUORUM_NETWORK_FILE, QUORUM_GENESIS_DIR and QUORUM_DATA_DIR must be set")
	}
	if number := os.Getenv("QUORUM_ORDINAL"); number != "" {
		ordinal, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("QUORUM_ORDINAL: %w", err)
		}
		s.ordinal = ordinal
		return s, nil
	}
	ordinal, err := ordinalOf(s.pod)
	s.ordinal = ordinal
	return s, err
}

func (s *settings) inRun(name string) string  { return filepath.Join(s.run, name) }
func (s *settings) inData(name string) string { return filepath.Join(s.data, name) }

// isPath tells a unix socket from a URL.
func isPath(place string) bool { return strings.HasPrefix(place, "/") }
