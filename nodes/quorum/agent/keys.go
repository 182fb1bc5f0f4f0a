package main

import (
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// salt of every derivation in this project; see components/kubernetes/identity.ts.
const salt = "orrery/v1"

// deriveKey makes the private key with a number in a group, as components/quorum/keys.ts does and explains: HKDF-SHA256
// (RFC 5869); of a node the first whose address begins with six decimal digits.
func deriveKey(groupKey []byte, group string, ordinal int) (*ecdsa.PrivateKey, error) {
	for attempt := 0; ; attempt++ {
		purpose := "secp256k1"
		if attempt > 0 {
			purpose = fmt.Sprintf("secp256k1/%d", attempt)
		}
		info := fmt.Sprintf("%s/%d/%s", group, ordinal, purpose)
		bytes, err := hkdf.Key(sha256.New, groupKey, []byte(salt), info, 32)
		if err != nil {
			return nil, fmt.Errorf("derive key %s: %w", info, err)
		}
		key, err := crypto.ToECDSA(bytes)
		if err != nil || group != nodeGroup || beginsWithDigits(crypto.PubkeyToAddress(key.PublicKey)) {
			return key, err
		}
	}
}

func beginsWithDigits(address common.Address) bool {
	for _, digit := range hex.EncodeToString(address[:3]) {
		if digit > '9' {
			return false
		}
	}
	return true
}

// readGroupKey reads a group's key, 32 bytes in hex, from the file its Secret is mounted as.
func readGroupKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("no key yet: %w; it comes with the Secret of this group", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("%s does not hold 32 bytes in hex; make the stack's Secret again", path)
	}
	return key, nil
}

// publicID is the id of a node in an enode URL: its public key without the first byte, in hex.
func publicID(key *ecdsa.PrivateKey) string {
	return hex.EncodeToString(crypto.FromECDSAPub(&key.PublicKey)[1:])
}

// writeKey writes a private key where geth reads it. The folder is in memory: no key lands on a volume.
func writeKey(path string, key *ecdsa.PrivateKey) error {
	return os.WriteFile(path, []byte(hex.EncodeToString(crypto.FromECDSA(key))), 0o600)
}
