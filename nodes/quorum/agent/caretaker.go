package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
)

const careEvery = 3 * time.Second

// caretaker keeps a running node's peers and, through its vote, the network's validators as the document says.
type caretaker struct {
	settings *settings
	client   *client
	// added is the URL each peer was last added by.
	added map[string]string
	last  string
}

// client speaks to geth over its socket, connecting again when geth has been restarted.
type client struct {
	path string
	lock sync.Mutex
	conn *rpc.Client
}

func clientOf(path string) *client { return &client{path: path} }

func (c *client) call(ctx context.Context, result any, method string, args ...any) error {
	c.lock.Lock()
	if c.conn == nil {
		conn, err := rpc.DialIPC(ctx, c.path)
		if err != nil {
			c.lock.Unlock()
			return fmt.Errorf("geth does not answer yet: %w", err)
		}
		c.conn = conn
	}
	conn := c.conn
	c.lock.Unlock()
	if err := conn.CallContext(ctx, result, method, args...); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

type peer struct {
	Enode string `json:"enode"`
}

func (c *caretaker) run(ctx context.Context) {
	for {
		if err := c.care(ctx); err != nil && ctx.Err() == nil {
			c.say(err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(careEvery):
		}
	}
}

// say logs what is new.
func (c *caretaker) say(text string) {
	if text != c.last {
		log.Print(text)
	}
	c.last = text
}

func (c *caretaker) care(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	n, err := readNetwork(c.settings.networkFile)
	if err != nil {
		return err
	}
	if n.Consensus == "raft" {
		return nil // raft tells its members about each other
	}
	return errors.Join(c.connect(ctx, n), c.seal(ctx, n), c.vote(ctx, n))
}

// connect adds every member this node has no connection with, at the address its name has now.
func (c *caretaker) connect(ctx context.Context, n *network) error {
	connected, err := c.peers(ctx)
	if err != nil {
		return err
	}
	for _, m := range n.Members {
		if m.Ordinal == c.settings.ordinal || connected[m.PublicKey] {
			continue
		}
		address, err := lookUp(ctx, m.Host)
		if err != nil {
			continue // it has no pod now
		}
		if err := c.add(ctx, m.PublicKey, n.enode(m, address)); err != nil {
			return err
		}
	}
	return nil
}

func (c *caretaker) add(ctx context.Context, id, url string) error {
	if before := c.added[id]; before == url {
		return nil // geth goes on dialling it
	} else if before != "" {
		if err := c.client.call(ctx, nil, "admin_removePeer", before); err != nil {
			return err
		}
	}
	if err := c.client.call(ctx, nil, "admin_addPeer", url); err != nil {
		return err
	}
	c.added[id] = url
	return nil
}

// peers are the ids of connected nodes.
func (c *caretaker) peers(ctx context.Context) (map[string]bool, error) {
	var peers []peer
	if err := c.client.call(ctx, &peers, "admin_peers"); err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	for _, p := range peers {
		ids[idOf(p.Enode)] = true
	}
	return ids, nil
}

// idOf takes the public key out of an enode URL.
func idOf(enode string) string {
	const scheme, length = "enode://", 128
	if len(enode) < len(scheme)+length {
		return ""
	}
	return enode[len(scheme) : len(scheme)+length]
}

// seal has a node that became a validator take part in making blocks; those that are from the start do by a flag.
func (c *caretaker) seal(ctx context.Context, n *network) error {
	own := n.member(c.settings.ordinal)
	if own == nil || !own.Validator {
		return nil
	}
	var mining bool
	if err := c.client.call(ctx, &mining, "eth_mining"); err != nil || mining {
		return err
	}
	if n.Client == "geth" {
		return c.client.call(ctx, nil, "miner_start")
	}
	return c.client.call(ctx, nil, "miner_start", 1) // the number of threads
}

// vote proposes what the document says and the chain does not have yet; a majority of validators decides.
func (c *caretaker) vote(ctx context.Context, n *network) error {
	var current []common.Address
	list := "istanbul_getValidators"
	if n.Consensus == "clique" {
		list = "clique_getSigners"
	}
	if err := c.client.call(ctx, &current, list, nil); err != nil {
		return err
	}
	own := n.member(c.settings.ordinal)
	if own == nil || !contains(current, own.Address) {
		return nil // only validators have a vote
	}
	var cast map[common.Address]bool
	candidates := map[string]string{"clique": "clique_proposals"}[n.Consensus]
	if candidates == "" {
		candidates = "istanbul_candidates"
	}
	if err := c.client.call(ctx, &cast, candidates); err != nil {
		return err
	}
	return c.castVotes(ctx, n.api(), votes(wanted(n), current, cast))
}

func (c *caretaker) castVotes(ctx context.Context, api string, ballot ballot) error {
	for _, address := range ballot.settled {
		if err := c.client.call(ctx, nil, api+"_discard", address); err != nil {
			return err
		}
	}
	for address, in := range ballot.proposed {
		log.Printf("votes: validator %s in: %t", address, in)
		if err := c.client.call(ctx, nil, api+"_propose", address, in); err != nil {
			return err
		}
	}
	return nil
}

func wanted(n *network) []common.Address {
	var addresses []common.Address
	for _, m := range n.Members {
		if m.Validator {
			addresses = append(addresses, m.Address)
		}
	}
	return addresses
}

// ballot is what a validator has to do for the chain to get the validators that are wanted.
type ballot struct {
	proposed map[common.Address]bool
	// settled are votes cast earlier that are not wanted any more, or have been followed.
	settled []common.Address
}

func votes(wanted, current []common.Address, cast map[common.Address]bool) ballot {
	result := ballot{proposed: map[common.Address]bool{}}
	for _, address := range wanted {
		if !contains(current, address) {
			result.proposed[address] = true
		}
	}
	for _, address := range current {
		if !contains(wanted, address) {
			result.proposed[address] = false
		}
	}
	for address, in := range cast {
		if proposed, open := result.proposed[address]; !open || proposed != in {
			result.settled = append(result.settled, address)
		} else {
			delete(result.proposed, address) // it is cast already
		}
	}
	return result
}

func contains(addresses []common.Address, address common.Address) bool {
	for _, other := range addresses {
		if other == address {
			return true
		}
	}
	return false
}

// ready tells whether the node serves: it answers, has a peer if there are others, and has seen a block; with raft,
// which makes none without need, it knows the leader.
func (c *caretaker) ready(ctx context.Context) error {
	n, err := readNetwork(c.settings.networkFile)
	if err != nil {
		return err
	}
	if n.Consensus == "raft" {
		var leader string
		if err := c.client.call(ctx, &leader, "raft_leader"); err != nil {
			return err
		}
		if leader == "" {
			return errors.New("no leader is known")
		}
		return nil
	}
	peers, err := c.peers(ctx)
	if err != nil {
		return err
	}
	if len(n.Members) > 1 && len(peers) == 0 {
		return errors.New("there is no peer yet")
	}
	var height hexutil.Uint64
	if err := c.client.call(ctx, &height, "eth_blockNumber"); err != nil {
		return err
	}
	if height == 0 {
		return errors.New("no block has been seen yet")
	}
	return nil
}
