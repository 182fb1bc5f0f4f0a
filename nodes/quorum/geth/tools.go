//go:build tools

// Package tools names the programs of geth 1.13.15 that are built from this module.
package tools

import (
	_ "github.com/ethereum/go-ethereum/cmd/bootnode"
	_ "github.com/ethereum/go-ethereum/cmd/geth"
)
