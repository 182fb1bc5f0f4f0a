package main

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestAwaitsAccount(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	young := errors.New(`error looking up service account n/default: serviceaccount "default" not found`)
	if !awaitsAccount(apierrors.NewForbidden(pods, "x", young)) {
		t.Error("a Pod in a young namespace is not tried again")
	}
	if awaitsAccount(apierrors.NewForbidden(pods, "x", errors.New("violates PodSecurity"))) || awaitsAccount(young) {
		t.Error("another refusal is tried again")
	}
}
