package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"time"

	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
)

// controllerName is what an IngressClass names to mean this controller.
const controllerName = "orrery.dev/ingress"

const (
	settle     = 100 * time.Millisecond // changes that come together are one reload
	checkEvery = 5 * time.Second        // a Caddy that was restarted gets its configuration again
)

// settings of a controller.
type settings struct {
	admin   string // Caddy's admin address, as its configuration writes it
	storage string // folder for certificates of its own making
	address string // address the status of Ingress objects reports
}

// controller keeps Caddy's configuration and the status of Ingress objects as the API server's objects want them.
type controller struct {
	settings settings
	client   kubernetes.Interface
	caddy    *caddy
	events   record.EventRecorder
	factory  informers.SharedInformerFactory
	queue    workqueue.TypedRateLimitingInterface[string]
	loaded   []byte
	told     map[string]bool // complaints that were made, so that each is made once
}

func newController(client kubernetes.Interface, server *caddy, events record.EventRecorder, s settings) *controller {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[string](settle, 5*time.Second)
	return &controller{
		settings: s,
		client:   client,
		caddy:    server,
		events:   events,
		factory:  informers.NewSharedInformerFactory(client, 0),
		queue:    workqueue.NewTypedRateLimitingQueue(limiter),
		told:     map[string]bool{},
	}
}

// run works until the context ends.
func (c *controller) run(ctx context.Context) error {
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { c.wake() },
		UpdateFunc: func(any, any) { c.wake() },
		DeleteFunc: func(any) { c.wake() },
	}
	for _, informer := range []cache.SharedIndexInformer{
		c.factory.Networking().V1().Ingresses().Informer(),
		c.factory.Networking().V1().IngressClasses().Informer(),
		c.factory.Core().V1().Services().Informer(),
		c.factory.Core().V1().Secrets().Informer(),
		c.factory.Discovery().V1().EndpointSlices().Informer(),
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return fmt.Errorf("watch: %w", err)
		}
	}
	c.factory.Start(ctx.Done())
	for kind, synced := range c.factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("watch %v: ended before the first list", kind)
		}
	}
	go c.checkCaddy(ctx)
	go func() {
		<-ctx.Done()
		c.queue.ShutDown()
	}()
	c.wake()
	for c.next(ctx) {
	}
	return nil
}

func (c *controller) wake() { c.queue.AddAfter("everything", settle) }

func (c *controller) next(ctx context.Context) bool {
	key, stopped := c.queue.Get()
	if stopped {
		return false
	}
	defer c.queue.Done(key)
	if err := c.sync(ctx); err != nil {
		slog.Warn("tried again soon", "error", err.Error())
		c.queue.AddRateLimited(key)
		return true
	}
	c.queue.Forget(key)
	return true
}

// checkCaddy wakes the controller when Caddy has lost its configuration.
func (c *controller) checkCaddy(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(checkEvery):
			if serves, err := c.caddy.serves(ctx); err != nil || !serves {
				c.queue.Add("everything")
			}
		}
	}
}

func (c *controller) sync(ctx context.Context) error {
	all, foreign, err := c.objects()
	if err != nil {
		return err
	}
	config, complaints := translate(all, c.settings.admin, c.settings.storage)
	text := encode(config)
	serves, err := c.caddy.serves(ctx)
	if err != nil {
		return err
	}
	if !serves || !bytes.Equal(text, c.loaded) {
		if err := c.caddy.load(ctx, text); err != nil {
			return err
		}
		c.loaded = text
		slog.Info("caddy has a new configuration", "ingresses", len(all.ingresses))
	}
	c.complain(complaints)
	for _, ingress := range all.ingresses {
		if err := c.report(ctx, ingress, []networking.IngressLoadBalancerIngress{{IP: c.settings.address}}); err != nil {
			return err
		}
	}
	for _, ingress := range foreign { // once ours: the address is not true any more
		if err := c.report(ctx, ingress, nil); err != nil {
			return err
		}
	}
	return nil
}

// objects lists what counts, and apart the Ingress objects that carry our address without being of our class.
func (c *controller) objects() (objects, []*networking.Ingress, error) {
	all := objects{
		services: map[string]*v1.Service{},
		slices:   map[string][]*discovery.EndpointSlice{},
		secrets:  map[string]*v1.Secret{},
	}
	ours, byDefault, err := c.classes()
	if err != nil {
		return all, nil, err
	}
	ingresses, err := c.factory.Networking().V1().Ingresses().Lister().List(labels.Everything())
	if err != nil {
		return all, nil, err
	}
	var foreign []*networking.Ingress
	for _, ingress := range ingresses {
		class := ingress.Spec.IngressClassName
		switch {
		case class != nil && ours[*class], class == nil && byDefault:
			all.ingresses = append(all.ingresses, ingress)
		case len(ingress.Status.LoadBalancer.Ingress) == 1 && ingress.Status.LoadBalancer.Ingress[0].IP == c.settings.address:
			foreign = append(foreign, ingress)
		}
	}
	services, err := c.factory.Core().V1().Services().Lister().List(labels.Everything())
	if err != nil {
		return all, nil, err
	}
	for _, service := range services {
		all.services[service.Namespace+"/"+service.Name] = service
	}
	slices, err := c.factory.Discovery().V1().EndpointSlices().Lister().List(labels.Everything())
	if err != nil {
		return all, nil, err
	}
	for _, slice := range slices {
		key := slice.Namespace + "/" + slice.Labels[discovery.LabelServiceName]
		all.slices[key] = append(all.slices[key], slice)
	}
	secrets, err := c.factory.Core().V1().Secrets().Lister().List(labels.Everything())
	if err != nil {
		return all, nil, err
	}
	for _, secret := range secrets {
		if secret.Type == v1.SecretTypeTLS {
			all.secrets[secret.Namespace+"/"+secret.Name] = secret
		}
	}
	return all, foreign, nil
}

// classes names the classes that mean this controller, and tells whether one of them is the default.
func (c *controller) classes() (map[string]bool, bool, error) {
	classes, err := c.factory.Networking().V1().IngressClasses().Lister().List(labels.Everything())
	if err != nil {
		return nil, false, err
	}
	ours := map[string]bool{}
	byDefault := false
	for _, class := range classes {
		if class.Spec.Controller == controllerName {
			ours[class.Name] = true
			byDefault = byDefault || class.Annotations[networking.AnnotationIsDefaultIngressClass] == "true"
		}
	}
	return ours, byDefault, nil
}

func (c *controller) report(ctx context.Context, ingress *networking.Ingress, addresses []networking.IngressLoadBalancerIngress) error {
	if equality.Semantic.DeepEqual(ingress.Status.LoadBalancer.Ingress, addresses) {
		return nil
	}
	changed := ingress.DeepCopy()
	changed.Status.LoadBalancer.Ingress = addresses
	_, err := c.client.NetworkingV1().Ingresses(ingress.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("status of Ingress %s/%s: %w", ingress.Namespace, ingress.Name, err)
	}
	return nil
}

// complain makes an event of every complaint that is new.
func (c *controller) complain(complaints []complaint) {
	current := map[string]bool{}
	for _, one := range complaints {
		key := string(one.ingress.UID) + one.reason + one.text
		current[key] = true
		if !c.told[key] {
			c.events.Event(one.ingress, v1.EventTypeWarning, one.reason, one.text)
			slog.Warn(one.text, "ingress", one.ingress.Namespace+"/"+one.ingress.Name)
		}
	}
	c.told = current
}
