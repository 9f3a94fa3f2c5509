package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

// lab is the whole simulated site.
//
// Two locks, always taken in this order: work lets one task at a time change machines and their
// files (it is held while a hook or a copy takes seconds); state guards the inventory's memory
// and is held for moments only, so that reads go on while a task works.
type lab struct {
	config  *config
	service *simulator.Service
	gate    *gate
	hooks   *hooks

	work  sync.Mutex
	state sync.Mutex

	faultMu sync.Mutex
	faults  map[string]*injection
	limits  map[string]int64 // datastore name -> pretended free bytes
	macs    map[string]bool
}

// injection makes the next count calls of a method fail.
type injection struct {
	fault *fault
	count int
}

// injected takes one planned failure of the method, if there is one.
func (l *lab) injected(method string) *fault {
	l.faultMu.Lock()
	defer l.faultMu.Unlock()
	planned := l.faults[method]
	if planned == nil {
		return nil
	}
	planned.count--
	if planned.count <= 0 {
		delete(l.faults, method)
	}
	return planned.fault
}

func (l *lab) inject(method string, f *fault, count int) {
	l.faultMu.Lock()
	defer l.faultMu.Unlock()
	if count <= 0 {
		delete(l.faults, method)
		return
	}
	l.faults[method] = &injection{f, count}
}

// login returns the account, or nil for an unknown name or a wrong password.
func (l *lab) login(name, password string) *account {
	for i := range l.config.Users {
		user := &l.config.Users[i]
		if user.Name == name && user.Password == password && name != "" {
			return user
		}
	}
	return nil
}

// context is what govmomi's simulator wants to know of a caller.
func (l *lab) context(user *account) *simulator.Context {
	session := &simulator.Session{
		UserSession: types.UserSession{Key: uuid.New().String(), UserName: user.Name},
		Registry:    simulator.NewRegistry(),
	}
	return &simulator.Context{Context: context.Background(), Session: session, Map: simulator.Map}
}

// change applies property changes, so that waiting clients see them.
func (l *lab) change(object mo.Reference, changes ...types.PropertyChange) {
	simulator.Map.WithLock(object, func() { simulator.Map.Update(object, changes) })
}

func set(name string, value types.AnyType) types.PropertyChange {
	return types.PropertyChange{Name: name, Val: value}
}

// taskMethod does the work of a task; it runs alone (work is held) and takes state where it changes memory.
type taskMethod func(l *lab, c *call) (types.AnyType, *fault)

// start makes a task and lets it run by itself; the client follows its info.
func (l *lab) start(c *call, work taskMethod) types.ManagedObjectReference {
	entity := c.method.This
	if snapshot, ok := simulator.Map.Get(entity).(*simulator.VirtualMachineSnapshot); ok {
		entity = snapshot.Vm // tasks belong to managed entities; a snapshot is none
	}
	l.state.Lock()
	task := simulator.CreateTask(entity, taskName(c.method.Name), nil)
	task.Info.Reason = &types.TaskReasonUser{UserName: c.user.Name}
	l.state.Unlock()
	go l.run(task, c, work)
	return task.Self
}

func (l *lab) run(task *simulator.Task, c *call, work taskMethod) {
	l.work.Lock()
	defer l.work.Unlock()
	l.locked(func() {
		l.change(task, set("info.startTime", time.Now()), set("info.state", types.TaskInfoStateRunning))
	})
	c.task = task
	result, f := l.attempt(c, work)
	l.locked(func() {
		if f != nil {
			l.change(task, set("info.completeTime", time.Now()), set("info.error", f.localized()),
				set("info.state", types.TaskInfoStateError))
			return
		}
		l.change(task, set("info.completeTime", time.Now()), set("info.result", result),
			set("info.state", types.TaskInfoStateSuccess))
	})
}

// progress tells the client how far a task is, in percent.
func (l *lab) progress(c *call, percent int32) {
	l.locked(func() { l.change(c.task, set("info.progress", percent)) })
}

// attempt turns a panic of govmomi's simulator into a fault of the task.
func (l *lab) attempt(c *call, work taskMethod) (result types.AnyType, f *fault) {
	defer func() {
		if problem := recover(); problem != nil {
			logPanic(c.method.Name, problem)
			f = refuse(&types.RuntimeFault{}, "A general system error occurred: %v", problem)
		}
	}()
	if f := l.injected(c.method.Name); f != nil {
		return nil, f
	}
	return work(l, c)
}

func (l *lab) locked(action func()) {
	l.state.Lock()
	defer l.state.Unlock()
	action()
}

// inner runs a task method of govmomi's simulator to its end and returns what it came to.
// The caller holds state.
func inner(answer soap.HasFault) (types.AnyType, *fault) {
	if f := faultOf(answer); f != nil {
		return nil, f
	}
	var ref types.ManagedObjectReference
	switch body := answer.(type) {
	case *methods.CreateVM_TaskBody:
		ref = body.Res.Returnval
	case *methods.ReconfigVM_TaskBody:
		ref = body.Res.Returnval
	case *methods.PowerOnVM_TaskBody:
		ref = body.Res.Returnval
	case *methods.PowerOffVM_TaskBody:
		ref = body.Res.Returnval
	default:
		panic(fmt.Sprintf("no task in %T", answer))
	}
	info := simulator.Map.Get(ref).(*simulator.Task).Info
	simulator.Map.Remove(ref)
	if info.Error != nil {
		kind := info.Error.Fault
		return nil, refuse(kind, "%s", (&fault{kind: kind}).name())
	}
	return info.Result, nil
}

// newDiskUUID makes a disk identity in VMware's own range (60 00 C2 9x).
func newDiskUUID() string {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		panic(err)
	}
	copy(raw, []byte{0x60, 0x00, 0xc2})
	raw[3] = 0x90 | raw[3]&0x0f
	return gather(fmt.Sprintf("%x", raw))
}

func escaped(text string) string {
	var out bytes.Buffer
	_ = xml.EscapeText(&out, []byte(text))
	return out.String()
}
