package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/ethereum/go-ethereum/common"
)

func addresses(bytes ...byte) []common.Address {
	var list []common.Address
	for _, b := range bytes {
		list = append(list, common.BytesToAddress([]byte{b}))
	}
	return list
}

func TestVotes(t *testing.T) {
	at := func(b byte) common.Address { return addresses(b)[0] }
	tests := []struct {
		name            string
		wanted, current []common.Address
		cast            map[common.Address]bool
		proposed        map[common.Address]bool
		settled         []common.Address
	}{
		{"all as wanted", addresses(1, 2), addresses(2, 1), nil, map[common.Address]bool{}, nil},
		{"one more", addresses(1, 2, 3), addresses(1, 2), nil, map[common.Address]bool{at(3): true}, nil},
		{"one less", addresses(1), addresses(1, 2), nil, map[common.Address]bool{at(2): false}, nil},
		{"voted already", addresses(1, 3), addresses(1), map[common.Address]bool{at(3): true}, map[common.Address]bool{}, nil},
		{"followed", addresses(1, 3), addresses(1, 3), map[common.Address]bool{at(3): true}, map[common.Address]bool{}, addresses(3)},
		{"changed its mind", addresses(1, 3), addresses(1), map[common.Address]bool{at(3): false}, map[common.Address]bool{at(3): true}, addresses(3)},
	}
	for _, test := range tests {
		got := votes(test.wanted, test.current, test.cast)
		if !reflect.DeepEqual(got.proposed, test.proposed) || !reflect.DeepEqual(got.settled, test.settled) {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

func TestOrdinalOf(t *testing.T) {
	if ordinal, err := ordinalOf("quorum-12"); err != nil || ordinal != 12 {
		t.Errorf("%d, %v", ordinal, err)
	}
	if _, err := ordinalOf("quorum"); err == nil {
		t.Error("a name without a number is accepted")
	}
}

func TestEnodeURLs(t *testing.T) {
	n := &network{Consensus: "qbft", Ports: ports{P2P: 30303, Raft: 50400}}
	m := member{PublicKey: "ab", Host: "quorum-0"}
	if got := n.enode(m, m.Host); got != "enode://ab@quorum-0:30303" {
		t.Error(got)
	}
	n.Consensus = "raft"
	if got := n.enode(m, m.Host); got != "enode://ab@quorum-0:30303?discport=0&raftport=50400" {
		t.Error(got)
	}
}

func TestSuperviseTellsHowTheProgramEnded(t *testing.T) {
	var exit exitError
	if err := supervise(context.Background(), "sh", "-c", "exit 7"); !errors.As(err, &exit) || exit.code != 7 {
		t.Errorf("exit code: %v", err)
	}
	if err := supervise(context.Background(), "sh", "-c", "kill -9 $$"); !errors.As(err, &exit) || exit.code != 137 {
		t.Errorf("signal: %v", err)
	}
	if err := supervise(context.Background(), filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing program is no error")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := supervise(ctx, "sleep", "600"); !errors.As(err, &exit) || exit.code != 143 {
		t.Errorf("stop: %v", err)
	}
}

func TestInstallCopiesThisProgram(t *testing.T) {
	folder := t.TempDir()
	if err := install(folder); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(folder, programName))
	if err != nil || info.Mode()&0o111 == 0 || info.Size() == 0 {
		t.Errorf("%v, %v", info, err)
	}
}
