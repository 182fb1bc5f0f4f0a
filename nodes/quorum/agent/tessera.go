package main

import (
	"context"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
)

const managerGroup = "ptm"

// manager is a private-transaction manager as components/quorum/plan.ts lists it.
type manager struct {
	Ordinal   int    `json:"ordinal"`
	URL       string `json:"url"`
	PublicKey string `json:"publicKey"`
}

// writeTessera writes what the Tessera of this pod starts with: its configuration, which is the network's with its own
// address, and its keys. The folder is in memory: no key lands on a volume.
func writeTessera(ctx context.Context) error {
	folder := os.Getenv("QUORUM_RUN_DIR")
	ordinal, err := ordinalOf(os.Getenv("QUORUM_POD_NAME"))
	if err != nil {
		return err
	}
	groupKey, err := readGroupKey(os.Getenv("QUORUM_GROUP_KEY_FILE"))
	if err != nil {
		return err
	}
	key, err := managerKey(groupKey, ordinal)
	if err != nil {
		return err
	}
	own, err := ownManager(ctx, os.Getenv("QUORUM_MANAGERS_FILE"), ordinal)
	if err != nil {
		return err
	}
	if own.PublicKey != hex.EncodeToString(key.PublicKey().Bytes()) {
		return fmt.Errorf("the key of manager %d is not the one the network's document names: Secret and ConfigMap are of different stacks", ordinal)
	}
	config, err := tesseraConfig(os.Getenv("QUORUM_TESSERA_FILE"), own.URL)
	if err != nil {
		return err
	}
	locked, err := json.Marshal(map[string]any{
		"type": "unlocked", "data": map[string]string{"bytes": base64.StdEncoding.EncodeToString(key.Bytes())},
	})
	if err != nil {
		return err
	}
	public := []byte(base64.StdEncoding.EncodeToString(key.PublicKey().Bytes()))
	log.Printf("Tessera %s at %s", public, own.URL)
	return errors.Join(
		os.WriteFile(filepath.Join(folder, "tessera.json"), config, 0o600),
		os.WriteFile(filepath.Join(folder, "tessera.key"), locked, 0o600),
		os.WriteFile(filepath.Join(folder, "tessera.pub"), public, 0o600),
	)
}

// managerKey is the X25519 key of a manager, as nodes/ptm/keys.ts derives it: NaCl's boxes take the same.
func managerKey(groupKey []byte, ordinal int) (*ecdh.PrivateKey, error) {
	info := fmt.Sprintf("%s/%d/x25519", managerGroup, ordinal)
	bytes, err := hkdf.Key(sha256.New, groupKey, []byte(salt), info, 32)
	if err != nil {
		return nil, fmt.Errorf("derive key %s: %w", info, err)
	}
	return ecdh.X25519().NewPrivateKey(bytes)
}

// ownManager waits until the list of managers has this one: a new node's pod may be there before the list is.
func ownManager(ctx context.Context, file string, ordinal int) (*manager, error) {
	var own *manager
	err := wait(ctx, fmt.Sprintf("manager %d to be in the network's document", ordinal), func() error {
		var list struct{ Peers []manager }
		if err := readJSON(file, &list); err != nil {
			return err
		}
		for index := range list.Peers {
			if list.Peers[index].Ordinal == ordinal {
				own = &list.Peers[index]
				return nil
			}
		}
		return fmt.Errorf("it has %d managers", len(list.Peers))
	})
	return own, err
}

// tesseraConfig completes the network's configuration with the address under which others reach this manager.
func tesseraConfig(file, url string) ([]byte, error) {
	var config map[string]any
	if err := readJSON(file, &config); err != nil {
		return nil, err
	}
	servers, _ := config["serverConfigs"].([]any)
	for _, entry := range servers {
		if server, ok := entry.(map[string]any); ok && server["app"] == "P2P" {
			server["serverAddress"] = url
			return json.MarshalIndent(config, "", "  ")
		}
	}
	return nil, fmt.Errorf("%s has no server for P2P", file)
}
