package main

import (
	"fmt"
	"path"
	"reflect"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// diskChange is one change of a VM's disks, checked and ready to be made.
type diskChange struct {
	operation types.VirtualDeviceConfigSpecOperation
	device    *types.VirtualDisk // the new device for add and edit, the present one for remove
	file      *disk
	create    bool
	destroy   bool
	oldSize   int64
}

// reshape is ReconfigVM_Task: disks and what must be strict here, the rest by govmomi's simulator.
// Files and hooks come first, each with its undo, memory last: a refusal leaves everything as it was.
func (l *lab) reshape(user *account, vm *simulator.VirtualMachine, spec *types.VirtualMachineConfigSpec) *fault {
	if spec.Name != "" && spec.Name != vm.Name {
		if folder, ok := simulator.Map.Get(*vm.Parent).(*simulator.Folder); ok {
			if f := l.nameTaken(folder, spec.Name); f != nil {
				return f
			}
		}
	}
	plan, f := l.planDevices(vm, spec.DeviceChange)
	if f != nil {
		return f
	}
	undo, f := l.makeFiles(vm, plan)
	if f == nil {
		rest := *spec
		rest.DeviceChange = plan.others
		l.locked(func() { f = l.applyRest(user, vm, &rest) })
	}
	if f != nil {
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
		return f
	}
	l.locked(func() { l.applyDisks(vm, plan.disks) })
	for _, change := range plan.disks {
		if change.destroy {
			l.discard(vm, change.file.path)
		}
	}
	l.locked(func() { vm.RefreshStorageInfo(l.context(user), nil) })
	return nil
}

// makeFiles creates files and lets the lab attach and detach, and returns how to take that back.
func (l *lab) makeFiles(vm *simulator.VirtualMachine, plan *devicePlan) ([]func(), *fault) {
	var undo []func()
	for _, change := range plan.disks {
		change := change
		if change.create {
			if f := l.createDisk(change.file); f != nil {
				return undo, f
			}
			undo = append(undo, change.file.remove)
		}
		if change.operation == types.VirtualDeviceConfigSpecOperationAdd {
			backing, f := l.backing(change.file, flatBacking(change.device).DiskMode)
			if f == nil {
				f = l.inUse(vm, chain(backing))
			}
			if f != nil {
				return undo, f
			}
			change.device.Backing = backing
		}
		if change.operation == types.VirtualDeviceConfigSpecOperationEdit {
			if err := change.file.grow(change.device.CapacityInBytes); err != nil {
				return undo, l.writeFault(change.file.path, err)
			}
		}
		if !poweredOn(vm) || change.operation == types.VirtualDeviceConfigSpecOperationEdit {
			continue
		}
		if f := l.tell(vm, change, plan.all, false); f != nil {
			return undo, f
		}
		undo = append(undo, func() { _ = l.tell(vm, change, plan.all, true) })
	}
	return undo, nil
}

// tell lets the lab attach or detach the disk (the opposite when taking back).
func (l *lab) tell(
	vm *simulator.VirtualMachine, change *diskChange, devices object.VirtualDeviceList, back bool,
) *fault {
	described, f := l.describe(devices, change.device)
	if f != nil {
		return f
	}
	call := "attach"
	if (change.operation == types.VirtualDeviceConfigSpecOperationRemove) != back {
		call = "detach"
	}
	return l.hooks.send(&hookCall{Call: call, VM: vm.Name, Disk: described})
}

// applyRest hands everything but the disks to govmomi's simulator; the caller holds state.
func (l *lab) applyRest(user *account, vm *simulator.VirtualMachine, spec *types.VirtualMachineConfigSpec) *fault {
	spec.ExtraConfig = mergeExtra(vm, spec.ExtraConfig)
	var f *fault
	simulator.Map.WithLock(vm, func() {
		ctx := l.context(user)
		ctx.Caller = &vm.Self
		_, f = inner(vm.ReconfigVMTask(ctx, &types.ReconfigVM_Task{This: vm.Self, Spec: *spec}))
	})
	if f == nil && spec.Name != "" {
		l.change(vm, set("name", spec.Name))
	}
	return f
}

// mergeExtra replaces keys that exist and deletes those set to nothing, as vSphere does; the
// simulator would only append.
func mergeExtra(vm *simulator.VirtualMachine, given []types.BaseOptionValue) []types.BaseOptionValue {
	var fresh []types.BaseOptionValue
	for _, item := range given {
		option := item.GetOptionValue()
		kept := make([]types.BaseOptionValue, 0, len(vm.Config.ExtraConfig))
		for _, old := range vm.Config.ExtraConfig {
			if old.GetOptionValue().Key != option.Key {
				kept = append(kept, old)
			}
		}
		vm.Config.ExtraConfig = kept
		if text, isText := option.Value.(string); !isText || text != "" {
			fresh = append(fresh, item)
		}
	}
	return fresh
}

// applyDisks puts the new device list in place; the caller holds state.
func (l *lab) applyDisks(vm *simulator.VirtualMachine, changes []*diskChange) {
	if len(changes) == 0 {
		return
	}
	devices := append(object.VirtualDeviceList(nil), vm.Config.Hardware.Device...)
	for _, change := range changes {
		kept := devices[:0:0]
		for _, device := range devices {
			if device.GetVirtualDevice().Key != change.device.Key {
				kept = append(kept, device)
			}
		}
		devices = kept
		if change.operation != types.VirtualDeviceConfigSpecOperationRemove {
			devices = append(devices, finished(change.device, change.file))
		}
	}
	l.setDevices(vm, devices)
}

// finished fills what vSphere fills in a disk that it shows.
func finished(device *types.VirtualDisk, file *disk) *types.VirtualDisk {
	device.CapacityInBytes, device.CapacityInKB = file.size, file.size>>10
	label := fmt.Sprintf("Hard disk %d", device.Key-1999)
	device.DeviceInfo = &types.Description{Label: label, Summary: fmt.Sprintf("%d KB", device.CapacityInKB)}
	return device
}

func (l *lab) setDevices(vm *simulator.VirtualMachine, devices object.VirtualDeviceList) {
	shown := make([]types.BaseVirtualDevice, 0, len(devices))
	for _, device := range devices {
		if _, ok := device.(types.BaseVirtualSCSIController); ok {
			device = withMembers(device, devices)
		}
		shown = append(shown, device)
	}
	l.change(vm, set("config.hardware.device", shown),
		set("summary.config.numVirtualDisks", int32(len(disksOf(shown)))))
}

// withMembers is a copy of a controller that lists what hangs on it: a client may be reading the old one.
func withMembers(controller types.BaseVirtualDevice, devices object.VirtualDeviceList) types.BaseVirtualDevice {
	fresh := reflect.New(reflect.TypeOf(controller).Elem())
	fresh.Elem().Set(reflect.ValueOf(controller).Elem())
	scsi := fresh.Interface().(types.BaseVirtualSCSIController).GetVirtualSCSIController()
	scsi.Device = nil
	for _, device := range devices {
		if device.GetVirtualDevice().ControllerKey == scsi.Key {
			scsi.Device = append(scsi.Device, device.GetVirtualDevice().Key)
		}
	}
	return fresh.Interface().(types.BaseVirtualDevice)
}

// discard deletes a disk's files from its top down, as far as no snapshot and no other disk needs them.
func (l *lab) discard(vm *simulator.VirtualMachine, dsPath string) {
	needed := make(map[string]bool)
	for _, file := range l.allFiles(vm) {
		needed[file] = true
	}
	for dsPath != "" && !needed[dsPath] {
		d, f := l.readDisk(dsPath)
		if f != nil {
			return
		}
		d.remove()
		dsPath = d.parent
	}
}

// newDiskPath answers "[ds]" and "" with a free name in the VM's own directory.
func (l *lab) newDiskPath(vm *simulator.VirtualMachine, asked string, taken map[string]bool) string {
	var p object.DatastorePath
	if asked != "" && (!p.FromString(asked) || p.Path != "") {
		return asked
	}
	stem := strings.TrimSuffix(path.Base(vm.Config.Files.VmPathName), ".vmx")
	for number := 0; ; number++ {
		name := stem + ".vmdk"
		if number > 0 {
			name = fmt.Sprintf("%s_%d.vmdk", stem, number)
		}
		candidate := inDirectory(vm.Config.Files.VmPathName, name)
		_, file, f := l.resolve(candidate)
		if f != nil || (!exists(file) && !exists(flatName(file)) && !taken[candidate]) {
			return candidate
		}
	}
}
