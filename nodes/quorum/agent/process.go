package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// supervise runs a program until it ends; a stop that was asked for is passed on as SIGTERM, and the program ends in
// its own time. The program dies with this one.
func supervise(ctx context.Context, name string, args ...string) error {
	command := exec.Command(name, args...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return fmt.Errorf("%s cannot be started: %w; the image must have it on PATH", name, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	select {
	case err := <-ended:
		log.Printf("%s has ended by itself: %v", name, err)
		return exitOf(err)
	case <-ctx.Done():
		if err := command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		return exitOf(<-ended)
	}
}

func exitOf(err error) error {
	var exit *exec.ExitError
	if err == nil {
		return nil
	}
	if !errors.As(err, &exit) {
		return err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitError{128 + int(status.Signal())}
	}
	return exitError{exit.ExitCode()}
}

// crash kills every process of this pod's network programs, this one's kind last: the container's first process ends by
// SIGKILL too, so that the kubelet reports exit code 137. The pod must share its process namespace, because the kernel
// spares the first process of one.
func crash() error {
	killed := 0
	for _, name := range []string{"geth", "bootnode", programName} {
		pids, err := pidsOf(name)
		if err != nil {
			return err
		}
		for _, pid := range pids {
			if pid == os.Getpid() {
				continue
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("kill %s (%d): %w", name, pid, err)
			}
			killed++
		}
	}
	if killed == 0 {
		return errors.New("there is no process of a node to kill; the pod must share its process namespace")
	}
	return nil
}

// pause stops geth by SIGSTOP and has it go on by itself, even if whoever asked for it goes away meanwhile.
func pause(ms string) error {
	length, err := strconv.Atoi(ms)
	if err != nil || length <= 0 {
		return fmt.Errorf("%q is no number of milliseconds", ms)
	}
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	pids, err := pidsOf("geth")
	if err != nil {
		return err
	}
	if len(pids) == 0 {
		return errors.New("there is no geth to pause; the pod must share its process namespace")
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			return fmt.Errorf("pause geth (%d): %w", pid, err)
		}
		defer syscall.Kill(pid, syscall.SIGCONT)
	}
	time.Sleep(time.Duration(length) * time.Millisecond)
	fmt.Printf("paused %d of geth for %d ms\n", len(pids), length)
	return nil
}

// pidsOf lists the processes with a command name, as far as this container sees them.
func pidsOf(name string) ([]int, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		if string(text) != name+"\n" {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}
