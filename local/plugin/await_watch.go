package main

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
)

// watchSpec names a set of objects that a rule looks at beside the object itself.
type watchSpec struct {
	name      string
	gvk       schema.GroupVersionKind
	namespace string
	labels    string // label selector
	fields    string // field selector
}

const selfName = "self"

// watcher follows an object and its related ones through informers, and tells when any of them changed.
type watcher struct {
	changed chan struct{}
	stop    context.CancelFunc

	mu        sync.Mutex
	informers map[string]cache.SharedIndexInformer
	failures  map[string]error
	changedAt map[string]time.Time
	final     *unstructured.Unstructured // the object's last state before it was deleted
	firstSeen map[string]time.Time
	touched   map[string]bool
}

// watch starts following live and what specs name. The caller must close the watcher.
func (o *operation) watch(ctx context.Context, live *unstructured.Unstructured, specs []watchSpec) (*watcher, error) {
	ctx, cancel := context.WithCancel(ctx)
	w := &watcher{
		changed: make(chan struct{}, 1), stop: cancel,
		informers: map[string]cache.SharedIndexInformer{}, failures: map[string]error{},
		changedAt: map[string]time.Time{}, firstSeen: map[string]time.Time{}, touched: map[string]bool{},
	}
	self := watchSpec{
		name: selfName, gvk: o.what.gvk, namespace: live.GetNamespace(),
		fields: fields.OneTermEqualSelector("metadata.name", live.GetName()).String(),
	}
	for _, each := range append([]watchSpec{self}, specs...) {
		if err := w.follow(ctx, o.s.cluster, each); err != nil {
			cancel()
			return nil, err
		}
	}
	return w, nil
}

func (w *watcher) follow(ctx context.Context, c *cluster, what watchSpec) error {
	mapping, err := c.mapping(what.gvk)
	if err != nil {
		return fmt.Errorf("finding %s on the server: %w", what.gvk, err)
	}
	informer := dynamicinformer.NewFilteredDynamicInformer(c.dynamic, mapping.Resource, what.namespace, 0, nil,
		func(options *metav1.ListOptions) {
			options.FieldSelector, options.LabelSelector = what.fields, what.labels
		}).Informer()
	poke := func() {
		w.mu.Lock()
		w.changedAt[what.name] = time.Now()
		w.mu.Unlock()
		w.notify()
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { poke() },
		UpdateFunc: func(any, any) { poke() },
		DeleteFunc: func(last any) {
			if what.name == selfName {
				w.keepFinal(last)
			}
			poke()
		},
	})
	if err != nil {
		return fmt.Errorf("watching %s: %w", what.gvk.Kind, err)
	}
	err = informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, problem error) {
		w.mu.Lock()
		w.failures[what.name] = problem
		w.mu.Unlock()
		w.notify()
	})
	if err != nil {
		return fmt.Errorf("watching %s: %w", what.gvk.Kind, err)
	}
	w.informers[what.name] = informer
	w.changedAt[what.name] = time.Now()
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			w.notify()
		}
	}()
	go informer.RunWithContext(ctx)
	return nil
}

func (w *watcher) keepFinal(last any) {
	if unknownState, ok := last.(cache.DeletedFinalStateUnknown); ok {
		last = unknownState.Obj
	}
	if object, ok := last.(*unstructured.Unstructured); ok {
		w.mu.Lock()
		w.final = object
		w.mu.Unlock()
	}
}

func (w *watcher) notify() {
	select {
	case w.changed <- struct{}{}:
	default: // a wake-up is already waiting to be taken
	}
}

func (w *watcher) close() { w.stop() }

// synced is true once everything that may be read has been listed. Related kinds that this user may not list do not
// hold a wait up; the object itself does.
func (w *watcher) synced() bool {
	for name, informer := range w.informers {
		if !informer.HasSynced() && (name == selfName || !w.forbidden(name)) {
			return false
		}
	}
	return true
}

func (w *watcher) forbidden(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return apierrors.IsForbidden(w.failures[name])
}

// problems describes watches that do not work.
func (w *watcher) problems() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var lines []string
	for name, err := range w.failures {
		if !w.informers[name].HasSynced() {
			lines = append(lines, fmt.Sprintf("watching %s failed: %v", name, err))
		}
	}
	sort.Strings(lines)
	return lines
}

// self is the object as it is now, or nil when it does not exist.
func (w *watcher) self() *unstructured.Unstructured {
	for _, each := range w.informers[selfName].GetStore().List() {
		if found, ok := each.(*unstructured.Unstructured); ok {
			return found
		}
	}
	return nil
}

// lastSelf is the object as it was last seen, even if it has been deleted since.
func (w *watcher) lastSelf() *unstructured.Unstructured {
	if current := w.self(); current != nil {
		return current
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.final
}

func (w *watcher) list(name string) []object {
	informer, found := w.informers[name]
	if !found {
		return nil
	}
	var objects []object
	for _, each := range informer.GetStore().List() {
		if item, ok := each.(*unstructured.Unstructured); ok {
			objects = append(objects, item.Object)
		}
	}
	sortByName(objects)
	return objects
}

func sortByName(objects []object) {
	sort.Slice(objects, func(i, j int) bool { return nameOf(objects[i]) < nameOf(objects[j]) })
}

func (w *watcher) facts(self object, update, last bool) facts {
	f := facts{
		self: self, update: update, last: last, related: map[string][]object{}, unseen: map[string]bool{},
		quiet: func(name string) time.Duration {
			w.mu.Lock()
			defer w.mu.Unlock()
			return time.Since(w.changedAt[name])
		},
		since: w.since,
	}
	for name, informer := range w.informers {
		if name != selfName {
			f.related[name] = w.list(name)
			f.unseen[name] = !informer.HasSynced()
		}
	}
	return f
}

// since starts or reads the clock of a problem; sweep forgets problems that the last judgement did not mention.
func (w *watcher) since(key string) time.Duration {
	w.touched[key] = true
	if _, running := w.firstSeen[key]; !running {
		w.firstSeen[key] = time.Now()
	}
	return time.Since(w.firstSeen[key])
}

func (w *watcher) sweep() {
	for key := range w.firstSeen {
		if !w.touched[key] {
			delete(w.firstSeen, key)
		}
	}
	w.touched = map[string]bool{}
}

// snapshot lists related objects once.
func (o *operation) snapshot(ctx context.Context, specs []watchSpec) (map[string][]object, error) {
	related := map[string][]object{}
	for _, each := range specs {
		mapping, err := o.s.cluster.mapping(each.gvk)
		if err != nil {
			return nil, fmt.Errorf("finding %s on the server: %w", each.gvk, err)
		}
		list, err := o.s.cluster.dynamic.Resource(mapping.Resource).Namespace(each.namespace).List(ctx, metav1.ListOptions{
			FieldSelector: each.fields, LabelSelector: each.labels,
		})
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", each.gvk.Kind, err)
		}
		for i := range list.Items {
			related[each.name] = append(related[each.name], list.Items[i].Object)
		}
		sortByName(related[each.name])
	}
	return related, nil
}
