package main

import (
	"errors"
	"fmt"
	"testing"
)

func TestReasons(t *testing.T) {
	wait := &waitError{reason: "not ready", issues: []string{"one", "two"}}
	if got := reasons(fmt.Errorf("outer: %w", wait)); !sameStrings(got, []string{"not ready", "one", "two"}) {
		t.Errorf("got %q", got)
	}
	if got := reasons(errors.New("plain")); !sameStrings(got, []string{"plain"}) {
		t.Errorf("got %q", got)
	}
	if got := wait.Error(); got != "not ready\none\ntwo" {
		t.Errorf("got %q", got)
	}
}
