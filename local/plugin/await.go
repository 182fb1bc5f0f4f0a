package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	defaultLimit  = 10 * time.Minute
	reportEvery   = 10 * time.Second
	diagnoseLimit = 15 * time.Second
)

// facts are what a rule judges: the object, what belongs to it, and how long things have been as they are.
type facts struct {
	self    object
	update  bool // the wait follows an update, not a creation
	related map[string][]object
	// unseen names related kinds that could not be watched (no permission).
	unseen map[string]bool
	// quiet is the time since the related objects of a name last changed.
	quiet func(name string) time.Duration
	// since is the time for which a problem with this key has been reported without a break.
	since func(key string) time.Duration
	// last is true for the one judgement without waiting: at the timeout, and on refresh.
	last bool
}

// verdict is a rule's answer. Without ready or fatal the wait goes on.
type verdict struct {
	ready  bool
	fatal  string // why waiting longer is of no use
	status string // what is being waited for, for the display
	issues []string
	warn   string        // said once when ready
	again  time.Duration // judge again after this time even if nothing changes; 0 = no need
}

// rule decides when objects of a kind are ready.
type rule struct {
	limit     time.Duration // fixed; 0 = the usual timeout rules
	readCheck bool          // also judged on refresh
	needs     func(self object) ([]watchSpec, error)
	judge     func(f facts) verdict
}

// limit is how long to wait: a rule's fixed time, else the engine's, else the annotation's, else ten minutes.
func (o *operation) limit(fixed time.Duration) time.Duration {
	if fixed > 0 {
		return fixed
	}
	if o.timeout > 0 {
		return o.timeout
	}
	if text := annotation(o.inputs, annotationTimeout); text != "" {
		value, err := strconv.Atoi(text)
		if err == nil && value > 0 {
			return time.Duration(value) * time.Second
		}
		o.s.log(diag.Warning, o.urn, "annotation %s is %q, not a number of seconds above 0; waiting %s", annotationTimeout, text, defaultLimit)
	}
	return defaultLimit
}

// pick chooses the rule for an object; nil means that being accepted by the API server is enough.
func (o *operation) pick(live object) (*rule, error) {
	if expression := annotation(live, annotationWaitFor); expression != "" {
		conditions, err := parseWaitFor(expression)
		if err != nil {
			return nil, err
		}
		return waitForRule(conditions), nil
	}
	if found := builtinRule(o.what.gvk); found != nil {
		return found, nil
	}
	if o.s.settings.awaitAll {
		return generalRule(), nil
	}
	return nil, nil
}

// await waits until the object is ready and returns it as it is then. On failure the object is returned as well.
func (o *operation) await(ctx context.Context, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if o.what.patch || annotation(o.inputs, annotationSkipAwait) == "true" {
		return live, nil
	}
	chosen, err := o.pick(live.Object)
	if err != nil {
		return live, &waitError{reason: err.Error()}
	}
	if chosen == nil {
		return live, nil
	}
	specs, err := chosen.needs(live.Object)
	if err != nil {
		return live, &waitError{reason: err.Error()}
	}
	w, err := o.watch(ctx, live, specs)
	if err != nil {
		return live, &waitError{reason: err.Error()}
	}
	defer w.close()
	return o.waitUntil(ctx, live, chosen, w)
}

// waitUntil is the loop behind every wait: judge, show, sleep until something changes.
func (o *operation) waitUntil(ctx context.Context, live *unstructured.Unstructured, chosen *rule, w *watcher) (*unstructured.Unstructured, error) {
	limit := o.limit(chosen.limit)
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	report := time.NewTicker(reportEvery)
	defer report.Stop()
	again := time.NewTimer(time.Hour)
	defer again.Stop()
	update := live.GetGeneration() > 1
	shown := ""
	for {
		var answer verdict
		if w.forbidden(selfName) && !w.synced() {
			return live, &waitError{reason: fmt.Sprintf("waiting for '%s' needs permission to list and watch %s objects", o.name(), o.what.gvk.Kind), issues: w.problems()}
		}
		if current := w.lastSelf(); current != nil && w.synced() {
			live = current
			answer = chosen.judge(w.facts(live.Object, update, false))
			w.sweep()
			switch {
			case answer.ready:
				o.ready(answer)
				return live, nil
			case answer.fatal != "":
				return live, o.failure(ctx, w, live, answer.fatal, answer.issues)
			case w.self() == nil:
				return live, &waitError{reason: fmt.Sprintf("%s %s was deleted while waiting for it to be ready", o.what.gvk.Kind, o.id())}
			}
			if answer.status != shown && answer.status != "" {
				shown = answer.status
				o.s.logStatus(diag.Info, o.urn, shown)
			}
			if answer.again > 0 {
				again.Reset(answer.again)
			}
		}
		select {
		case <-w.changed:
		case <-again.C:
		case <-report.C:
			o.reportProblems(ctx, w, live)
		case <-ctx.Done():
			reason := fmt.Sprintf("Resource operation was cancelled for %q", o.name())
			return live, &waitError{reason: reason, issues: answer.issues}
		case <-deadline.C:
			final := chosen.judge(w.facts(live.Object, update, true))
			if w.synced() && final.ready {
				o.ready(final)
				return live, nil
			}
			reason := fmt.Sprintf("'%s' timed out waiting to be Ready after %s", o.name(), limit)
			return live, o.failure(ctx, w, live, reason, append(final.issues, w.problems()...))
		}
	}
}

func (o *operation) ready(answer verdict) {
	if answer.warn != "" {
		o.s.log(diag.Warning, o.urn, "%s", answer.warn)
	}
	o.s.logStatus(diag.Info, o.urn, fmt.Sprintf("✅ %s initialization complete", o.what.gvk.Kind))
	o.s.logStatus(diag.Info, o.urn, "")
}

// failure is the error of a wait that ended badly, with events and logs of the object and its pods.
func (o *operation) failure(ctx context.Context, w *watcher, live *unstructured.Unstructured, reason string, issues []string) error {
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), diagnoseLimit)
	defer cancel()
	return &waitError{reason: reason, issues: append(issues, o.diagnose(asking, live, w.list(podsName))...)}
}

func (o *operation) reportProblems(ctx context.Context, w *watcher, live *unstructured.Unstructured) {
	for _, text := range podProblems(ownedPods(live.Object, w.list(podsName), w.list(replicaSetsName))) {
		o.s.logStatus(diag.Warning, o.urn, text)
	}
	asking, cancel := context.WithTimeout(ctx, diagnoseLimit)
	defer cancel()
	for _, text := range o.events(asking, live.Object) {
		o.s.logStatus(diag.Warning, o.urn, text)
	}
}

// readCheck judges an object once, without waiting; on refresh this finds objects that stopped being ready.
func (o *operation) readCheck(ctx context.Context, live *unstructured.Unstructured) error {
	if annotation(o.inputs, annotationSkipAwait) == "true" {
		return nil
	}
	chosen, err := o.pick(live.Object)
	if err != nil {
		return &waitError{reason: err.Error()}
	}
	if chosen == nil || !chosen.readCheck {
		return nil
	}
	specs, err := chosen.needs(live.Object)
	if err != nil {
		return &waitError{reason: err.Error()}
	}
	snapshot, err := o.snapshot(ctx, specs)
	if err != nil {
		return &waitError{reason: fmt.Sprintf("checking whether %s is ready: %v", o.name(), err)}
	}
	answer := chosen.judge(facts{
		self: live.Object, update: live.GetGeneration() > 1, related: snapshot, last: true,
		quiet: func(string) time.Duration { return time.Hour },
		since: func(string) time.Duration { return time.Hour },
	})
	if answer.ready {
		return nil
	}
	reason := answer.fatal
	if reason == "" {
		reason = fmt.Sprintf("'%s' is not ready", o.name())
	}
	return &waitError{reason: reason, issues: answer.issues}
}
