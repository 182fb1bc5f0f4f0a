// Command orrery-quorum starts and looks after one node of a quorum network: it derives the node's key, makes the first
// block, waits for what the node needs, runs geth, answers whether it serves, and keeps peers and validators as the
// network's document says.
//
//	orrery-quorum node             runs a node
//	orrery-quorum bootnode         runs the bootnode
//	orrery-quorum tessera          writes configuration and keys of the Tessera beside a node
//	orrery-quorum install <folder> copies this program, for containers of other images
//	orrery-quorum crash            ends the node's processes by SIGKILL, as a crashed machine would
//	orrery-quorum pause <ms>       stops geth for a while, as a machine does that hangs
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

const (
	nodeGroup     = "node"
	bootnodeGroup = "bootnode"
	programName   = "orrery-quorum"
)

// exitError ends this program with the code of the program it ran.
type exitError struct{ code int }

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC | log.Lmsgprefix)
	log.SetPrefix(programName + ": ")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	err := run(ctx, os.Args[1:])
	var exit exitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		os.Exit(exit.code)
	case ctx.Err() != nil:
		log.Print("stopped before the node ran")
	default:
		log.Print(err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	switch {
	case command == "node" && len(args) == 1:
		return runNode(ctx)
	case command == "bootnode" && len(args) == 1:
		return runBootnode(ctx)
	case command == "tessera" && len(args) == 1:
		return writeTessera(ctx)
	case command == "install" && len(args) == 2:
		return install(args[1])
	case command == "crash" && len(args) == 1:
		return crash()
	case command == "pause" && len(args) == 2:
		return pause(args[1])
	}
	return fmt.Errorf("unknown command %q; use node, bootnode, tessera, install <folder>, crash or pause <ms>", args)
}

// install copies this program into a folder.
func install(folder string) error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	from, err := os.Open(own)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(filepath.Join(folder, programName), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(to, from); err != nil {
		return errors.Join(err, to.Close())
	}
	return to.Close()
}
