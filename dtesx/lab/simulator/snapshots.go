package main

import (
	"sync/atomic"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// maxChain is how many deltas ESXi stacks on one disk.
const maxChain = 31

var snapshotID int32

// tree is a list of snapshot nodes; every change makes a new one, since clients may read the old.
type tree []types.VirtualMachineSnapshotTree

func treeOf(vm *simulator.VirtualMachine) tree {
	if vm.Snapshot == nil {
		return nil
	}
	return vm.Snapshot.RootSnapshotList
}

func currentOf(vm *simulator.VirtualMachine) *types.ManagedObjectReference {
	if vm.Snapshot == nil {
		return nil
	}
	return vm.Snapshot.CurrentSnapshot
}

// under adds a node below the parent, or as a root.
func (t tree) under(parent *types.ManagedObjectReference, node types.VirtualMachineSnapshotTree) tree {
	if parent == nil {
		return append(append(tree(nil), t...), node)
	}
	var grown tree
	for _, item := range t {
		if item.Snapshot == *parent {
			item.ChildSnapshotList = append(append(tree(nil), item.ChildSnapshotList...), node)
		} else {
			item.ChildSnapshotList = tree(item.ChildSnapshotList).under(parent, node)
		}
		grown = append(grown, item)
	}
	if len(t) == 0 {
		return nil
	}
	return grown
}

// without takes a node out; its children move up, or go too.
func (t tree) without(ref types.ManagedObjectReference, withChildren bool) tree {
	var left tree
	for _, item := range t {
		if item.Snapshot != ref {
			item.ChildSnapshotList = tree(item.ChildSnapshotList).without(ref, withChildren)
			left = append(left, item)
		} else if !withChildren {
			left = append(left, item.ChildSnapshotList...)
		}
	}
	return left
}

func (t tree) refs() []types.ManagedObjectReference {
	var found []types.ManagedObjectReference
	for _, item := range t {
		found = append(found, item.Snapshot)
		found = append(found, tree(item.ChildSnapshotList).refs()...)
	}
	return found
}

type parentMap map[types.ManagedObjectReference]*types.ManagedObjectReference

// parents maps every node to the one above it.
func (t tree) parents(above *types.ManagedObjectReference, into parentMap) {
	for i := range t {
		into[t[i].Snapshot] = above
		tree(t[i].ChildSnapshotList).parents(&t[i].Snapshot, into)
	}
}

func snapshotsOf(vm *simulator.VirtualMachine) []*simulator.VirtualMachineSnapshot {
	var found []*simulator.VirtualMachineSnapshot
	for _, ref := range treeOf(vm).refs() {
		if snapshot, ok := simulator.Map.Get(ref).(*simulator.VirtualMachineSnapshot); ok {
			found = append(found, snapshot)
		}
	}
	return found
}

// setTree shows the new tree; without any node the property is unset, as vSphere has it.
func (l *lab) setTree(vm *simulator.VirtualMachine, t tree, current *types.ManagedObjectReference) {
	roots := make([]types.ManagedObjectReference, 0, len(t))
	for _, item := range t {
		roots = append(roots, item.Snapshot)
	}
	if len(t) == 0 {
		l.change(vm, set("snapshot", nil), set("rootSnapshot", roots))
		return
	}
	l.change(vm, set("rootSnapshot", roots),
		set("snapshot", types.VirtualMachineSnapshotInfo{CurrentSnapshot: current, RootSnapshotList: t}))
}

func independent(device *types.VirtualDisk) bool {
	switch flatBacking(device).DiskMode {
	case string(types.VirtualDiskModeIndependent_persistent), string(types.VirtualDiskModeIndependent_nonpersistent):
		return true
	}
	return false
}

// copyConfig is the VM's configuration as a snapshot keeps it, with a device list of its own.
func copyConfig(
	from *types.VirtualMachineConfigInfo, devices []types.BaseVirtualDevice,
) types.VirtualMachineConfigInfo {
	config := *from
	config.Hardware.Device = append([]types.BaseVirtualDevice(nil), devices...)
	return config
}

// onDeltas makes a delta on every disk of a device list and returns the list that uses them.
// What it made is removed again when one of them fails.
func (l *lab) onDeltas(
	vm *simulator.VirtualMachine, devices []types.BaseVirtualDevice,
) ([]types.BaseVirtualDevice, *fault) {
	result := append([]types.BaseVirtualDevice(nil), devices...)
	var made []*disk
	for i, item := range devices {
		device, ok := item.(*types.VirtualDisk)
		if !ok || independent(device) {
			continue
		}
		child, backing, f := l.onDelta(vm, device)
		if f != nil {
			for _, d := range made {
				d.remove()
			}
			return nil, f
		}
		made = append(made, child)
		replaced := *device
		replaced.Backing = backing
		result[i] = &replaced
	}
	return result, nil
}

func (l *lab) onDelta(
	vm *simulator.VirtualMachine, device *types.VirtualDisk,
) (*disk, *types.VirtualDiskFlatVer2BackingInfo, *fault) {
	files := chain(flatBacking(device))
	if f := l.inUse(vm, files); f != nil {
		return nil, nil, f
	}
	if len(files) > maxChain {
		return nil, nil, refuse(new(types.TooManySnapshotLevels), "The maximum number of snapshot levels is reached.")
	}
	parent, f := l.readDisk(files[0])
	if f != nil {
		return nil, nil, f
	}
	child, f := l.createDelta(parent)
	if f != nil {
		return nil, nil, f
	}
	backing, f := l.backing(child, flatBacking(device).DiskMode)
	if f != nil {
		child.remove()
		return nil, nil, f
	}
	return child, backing, nil
}

func createSnapshot(l *lab, c *call) (types.AnyType, *fault) {
	request := c.method.Body.(*types.CreateSnapshot_Task)
	vm, f := machine(c.method.This)
	if f != nil {
		return nil, f
	}
	if request.Name == "" {
		return nil, refuse(&types.InvalidName{}, "The name '' is invalid.")
	}
	if poweredOn(vm) && l.hooks.socket != "" {
		return nil, refuse(&types.SnapshotFault{},
			"The lab's machines cannot switch disks while they run: power off '%s' first.", vm.Name)
	}
	before := vm.Config.Hardware.Device
	devices, f := l.onDeltas(vm, before)
	if f != nil {
		return nil, f
	}
	snapshot := new(simulator.VirtualMachineSnapshot)
	snapshot.Vm, snapshot.Config = vm.Self, copyConfig(vm.Config, before)
	l.locked(func() {
		simulator.Map.Put(snapshot)
		node := types.VirtualMachineSnapshotTree{
			Snapshot: snapshot.Self, Vm: vm.Self, Name: request.Name, Description: request.Description,
			Id: atomic.AddInt32(&snapshotID, 1), CreateTime: time.Now(), State: vm.Runtime.PowerState,
			ReplaySupported: types.NewBool(false),
		}
		l.setDevices(vm, devices)
		l.setTree(vm, treeOf(vm).under(currentOf(vm), node), &snapshot.Self)
		vm.RefreshStorageInfo(l.context(c.user), nil)
	})
	return snapshot.Self, nil
}

func revertToSnapshot(l *lab, c *call) (types.AnyType, *fault) {
	snapshot, ok := simulator.Map.Get(c.method.This).(*simulator.VirtualMachineSnapshot)
	if !ok {
		return nil, refuse(&types.ManagedObjectNotFound{Obj: c.method.This}, "The snapshot does not exist any more.")
	}
	return nil, l.revert(c.user, snapshot)
}

func revertToCurrent(l *lab, c *call) (types.AnyType, *fault) {
	vm, f := machine(c.method.This)
	if f != nil {
		return nil, f
	}
	current := currentOf(vm)
	if current == nil {
		return nil, refuse(new(types.NotFound), "The virtual machine has no current snapshot.")
	}
	return nil, l.revert(c.user, simulator.Map.Get(*current).(*simulator.VirtualMachineSnapshot))
}

// revert takes the VM back: fresh deltas on the snapshot's disks; what was written since is dropped.
// These snapshots hold no memory, so a running VM is off afterwards, as on ESXi.
func (l *lab) revert(user *account, snapshot *simulator.VirtualMachineSnapshot) *fault {
	vm, f := machine(snapshot.Vm)
	if f != nil {
		return f
	}
	old := disksOf(vm.Config.Hardware.Device)
	for _, device := range old {
		if f := l.inUse(vm, chain(flatBacking(device))); f != nil {
			return f
		}
	}
	if poweredOn(vm) {
		if f := l.powerOff(user, vm); f != nil {
			return f
		}
	}
	devices, f := l.onDeltas(vm, snapshot.Config.Hardware.Device)
	if f != nil {
		return f
	}
	l.locked(func() {
		config := copyConfig(&snapshot.Config, devices)
		config.Name = vm.Config.Name // a name is the inventory's, not the snapshot's
		l.change(vm, set("config", config))
		l.setDevices(vm, devices)
		l.setTree(vm, treeOf(vm), &snapshot.Self)
	})
	for _, device := range old {
		l.discardDeltas(vm, flatBacking(device).FileName)
	}
	l.locked(func() { vm.RefreshStorageInfo(l.context(user), nil) })
	return nil
}

func removeSnapshot(l *lab, c *call) (types.AnyType, *fault) {
	request := c.method.Body.(*types.RemoveSnapshot_Task)
	snapshot, ok := simulator.Map.Get(c.method.This).(*simulator.VirtualMachineSnapshot)
	if !ok {
		return nil, refuse(&types.ManagedObjectNotFound{Obj: c.method.This}, "The snapshot does not exist any more.")
	}
	vm, f := machine(snapshot.Vm)
	if f != nil {
		return nil, f
	}
	before, current := treeOf(vm), currentOf(vm)
	above := make(parentMap)
	before.parents(nil, above)
	return nil, l.dropSnapshots(c.user, vm, before.without(snapshot.Self, request.RemoveChildren), above, current)
}

func removeAllSnapshots(l *lab, c *call) (types.AnyType, *fault) {
	vm, f := machine(c.method.This)
	if f != nil {
		return nil, f
	}
	return nil, l.dropSnapshots(c.user, vm, nil, nil, nil)
}

// dropSnapshots leaves only the given nodes and merges what they alone needed. A locked disk does not
// bring the snapshot back: as on ESXi, consolidationNeeded says that its files are left to merge.
func (l *lab) dropSnapshots(
	user *account, vm *simulator.VirtualMachine, left tree,
	above parentMap, current *types.ManagedObjectReference,
) *fault {
	files := l.allFiles(vm)
	kept := make(map[types.ManagedObjectReference]bool)
	for _, ref := range left.refs() {
		kept[ref] = true
	}
	for current != nil && !kept[*current] {
		current = above[*current]
	}
	l.locked(func() {
		for _, ref := range treeOf(vm).refs() {
			if !kept[ref] {
				simulator.Map.Remove(ref)
			}
		}
		l.setTree(vm, left, current)
	})
	return l.settle(user, vm, files)
}

func consolidateDisks(l *lab, c *call) (types.AnyType, *fault) {
	vm, f := machine(c.method.This)
	if f != nil {
		return nil, f
	}
	return nil, l.settle(c.user, vm, l.allFiles(vm))
}
