package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// family is the disk files of one VM and how they stand on each other.
type family struct {
	disks   map[string]*disk
	owned   map[string]bool   // the top of a snapshot's or of the VM's own disks
	renamed map[string]string // a file that was merged -> the one that now holds its content
}

func (l *lab) family(vm *simulator.VirtualMachine, files []string) *family {
	f := &family{disks: make(map[string]*disk), owned: make(map[string]bool), renamed: make(map[string]string)}
	for _, file := range files {
		if d, problem := l.readDisk(file); problem == nil {
			f.disks[file] = d
		}
	}
	own := func(devices []types.BaseVirtualDevice) {
		for _, device := range disksOf(devices) {
			f.owned[flatBacking(device).FileName] = true
		}
	}
	own(vm.Config.Hardware.Device)
	for _, snapshot := range snapshotsOf(vm) {
		own(snapshot.Config.Hardware.Device)
	}
	return f
}

func (f *family) children(of string) []*disk {
	var found []*disk
	for _, d := range f.disks {
		if d.parent == of {
			found = append(found, d)
		}
	}
	return found
}

// settle merges every file that nothing names any more: a delta's content moves into the file below
// it, which keeps its name; a delta without children goes. It sets consolidationNeeded when a lock
// keeps it from that.
func (l *lab) settle(user *account, vm *simulator.VirtualMachine, files []string) *fault {
	f := l.family(vm, files)
	var problem *fault
	for merged := true; merged && problem == nil; {
		merged = false
		for file, d := range f.disks {
			if f.owned[file] {
				continue
			}
			var done bool
			if done, problem = l.mergeOne(vm, f, d); problem != nil {
				break
			}
			merged = merged || done
		}
	}
	l.locked(func() {
		l.renameBackings(vm, f)
		l.change(vm, set("runtime.consolidationNeeded", problem != nil),
			set("summary.runtime.consolidationNeeded", problem != nil))
		vm.RefreshStorageInfo(l.context(user), nil)
	})
	return problem
}

// mergeOne handles one file that neither the VM nor a snapshot names.
func (l *lab) mergeOne(vm *simulator.VirtualMachine, f *family, d *disk) (bool, *fault) {
	children := f.children(d.path)
	if len(children) > 1 || (len(children) == 0 && d.parent == "") {
		return false, nil // branches still need it; or a whole disk that was only taken out of the VM
	}
	if problem := l.inUse(vm, []string{d.path}); problem != nil {
		return false, problem
	}
	if len(children) == 0 {
		d.remove()
		delete(f.disks, d.path)
		return true, nil
	}
	child := children[0]
	if problem := l.inUse(vm, []string{child.path}); problem != nil {
		return false, problem
	}
	if problem := d.absorb(child); problem != nil {
		return false, problem
	}
	for _, grandchild := range f.children(child.path) {
		grandchild.parent = d.path
		if err := grandchild.write(); err != nil {
			return false, fileFault(grandchild.path, err)
		}
	}
	delete(f.disks, child.path)
	f.owned[d.path] = f.owned[child.path]
	f.renamed[child.path] = d.path
	return true, nil
}

// renameBackings lets the VM and its snapshots name the files as they are now; the caller holds state.
func (l *lab) renameBackings(vm *simulator.VirtualMachine, f *family) {
	if len(f.renamed) == 0 {
		return
	}
	l.setDevices(vm, l.renamedDevices(vm.Config.Hardware.Device, f))
	for _, snapshot := range snapshotsOf(vm) {
		snapshot.Config.Hardware.Device = l.renamedDevices(snapshot.Config.Hardware.Device, f)
	}
}

func (l *lab) renamedDevices(devices []types.BaseVirtualDevice, f *family) []types.BaseVirtualDevice {
	result := append([]types.BaseVirtualDevice(nil), devices...)
	for i, item := range devices {
		device, ok := item.(*types.VirtualDisk)
		if !ok {
			continue
		}
		name := flatBacking(device).FileName
		for f.renamed[name] != "" {
			name = f.renamed[name]
		}
		d, problem := l.readDisk(name)
		if problem != nil {
			continue
		}
		backing, problem := l.backing(d, flatBacking(device).DiskMode)
		if problem != nil {
			continue
		}
		replaced := *device
		replaced.Backing = backing
		result[i] = &replaced
	}
	return result
}

// discardDeltas deletes a disk's deltas from the top down, as far as nothing of the VM names them.
func (l *lab) discardDeltas(vm *simulator.VirtualMachine, dsPath string) {
	needed := make(map[string]bool)
	for _, file := range l.allFiles(vm) {
		needed[file] = true
	}
	for dsPath != "" && !needed[dsPath] {
		d, f := l.readDisk(dsPath)
		if f != nil || d.parent == "" {
			return
		}
		d.remove()
		dsPath = d.parent
	}
}
