package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The vector is that of RFC 7748's function over the derivation of components/kubernetes/identity.ts; the test of the
// component has the same.
const (
	managerGroupKey  = "0707070707070707070707070707070707070707070707070707070707070707"
	managerPublicKey = "c73907a85563e28875c98eda037b89d061f99fc40c971c95a15934f7a72ffd27"
)

func tesseraPlace(t *testing.T, publicKey string) string {
	t.Helper()
	folder := t.TempDir()
	files := map[string]string{
		"group-key":     managerGroupKey + "\n",
		"ptm.json":      `{"peers":[{"ordinal":0,"url":"http://a:9000","publicKey":"00"},{"ordinal":1,"url":"http://b:9000","publicKey":"` + publicKey + `"}]}`,
		"template.json": `{"jdbc":{},"serverConfigs":[{"app":"Q2T","serverAddress":"http://127.0.0.1:9101"},{"app":"P2P"}]}`,
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("QUORUM_POD_NAME", "quorum-1")
	t.Setenv("QUORUM_GROUP_KEY_FILE", filepath.Join(folder, "group-key"))
	t.Setenv("QUORUM_MANAGERS_FILE", filepath.Join(folder, "ptm.json"))
	t.Setenv("QUORUM_TESSERA_FILE", filepath.Join(folder, "template.json"))
	t.Setenv("QUORUM_RUN_DIR", folder)
	return folder
}

func TestTesseraGetsItsAddressAndItsKeys(t *testing.T) {
	folder := tesseraPlace(t, managerPublicKey)
	if err := writeTessera(context.Background()); err != nil {
		t.Fatal(err)
	}
	var config struct {
		ServerConfigs []struct{ App, ServerAddress string }
	}
	if err := readJSON(filepath.Join(folder, "tessera.json"), &config); err != nil {
		t.Fatal(err)
	}
	if len(config.ServerConfigs) != 2 || config.ServerConfigs[0].ServerAddress != "http://127.0.0.1:9101" ||
		config.ServerConfigs[1].ServerAddress != "http://b:9000" {
		t.Errorf("%+v", config)
	}
	public, err := os.ReadFile(filepath.Join(folder, "tessera.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes, err := base64.StdEncoding.DecodeString(string(public)); err != nil || hex.EncodeToString(bytes) != managerPublicKey {
		t.Errorf("public key %s: %v", public, err)
	}
	var locked struct {
		Type string
		Data struct{ Bytes []byte }
	}
	text, err := os.ReadFile(filepath.Join(folder, "tessera.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &locked); err != nil || locked.Type != "unlocked" || len(locked.Data.Bytes) != 32 {
		t.Errorf("private key: %v", err)
	}
}

func TestTesseraRefusesKeysOfAnotherStack(t *testing.T) {
	folder := tesseraPlace(t, strings.Repeat("0", 64))
	if err := writeTessera(context.Background()); err == nil || !strings.Contains(err.Error(), "different stacks") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(folder, "tessera.key")); !os.IsNotExist(err) {
		t.Errorf("a key was written: %v", err)
	}
}
