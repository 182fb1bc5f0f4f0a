package main

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// The vectors are those of the program and of the connector: all three derive the same keys.
func TestKeysAreTheRecordedOnes(t *testing.T) {
	var vectors []struct {
		Group, GroupKey, PrivateKey, PublicKey string
		Ordinal                                int
		Address                                common.Address
	}
	if err := readJSON("../../../test/fixtures/quorum/keys.json", &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 4 {
		t.Fatalf("only %d vectors", len(vectors))
	}
	for _, vector := range vectors {
		group, err := hex.DecodeString(vector.GroupKey)
		if err != nil {
			t.Fatal(err)
		}
		key, err := deriveKey(group, vector.Group, vector.Ordinal)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(crypto.FromECDSA(key)); got != vector.PrivateKey {
			t.Errorf("%s %d: private key %s, not %s", vector.Group, vector.Ordinal, got, vector.PrivateKey)
		}
		if got := publicID(key); got != vector.PublicKey {
			t.Errorf("%s %d: public key %s, not %s", vector.Group, vector.Ordinal, got, vector.PublicKey)
		}
		if got := crypto.PubkeyToAddress(key.PublicKey); got != vector.Address {
			t.Errorf("%s %d: address %s, not %s", vector.Group, vector.Ordinal, got, vector.Address)
		}
	}
}

func TestAMissingOrBrokenGroupKeyIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "group-key")
	if _, err := readGroupKey(path); err == nil || !strings.Contains(err.Error(), "no key yet") {
		t.Errorf("missing: %v", err)
	}
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readGroupKey(path); err == nil || !strings.Contains(err.Error(), "32 bytes in hex") {
		t.Errorf("broken: %v", err)
	}
}
