package main

import (
	"os"
	"path"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// relocateVM is vMotion (another host) and storage vMotion (another datastore), at once or each alone.
func relocateVM(l *lab, c *call) (types.AnyType, *fault) {
	vm, f := machine(c.method.This)
	if f != nil {
		return nil, f
	}
	spec := c.method.Body.(*types.RelocateVM_Task).Spec
	if spec.Datastore != nil {
		ds, ok := simulator.Map.Get(*spec.Datastore).(*simulator.Datastore)
		if !ok {
			return nil, refuse(&types.ManagedObjectNotFound{Obj: *spec.Datastore}, "There is no such datastore.")
		}
		if f := l.moveFiles(vm, ds.Name); f != nil {
			return nil, f
		}
	}
	if spec.Host == nil {
		return nil, nil
	}
	if _, ok := simulator.Map.Get(*spec.Host).(*simulator.HostSystem); !ok {
		return nil, refuse(&types.ManagedObjectNotFound{Obj: *spec.Host}, "There is no such host.")
	}
	l.locked(func() { l.change(vm, set("runtime.host", spec.Host), set("summary.runtime.host", spec.Host)) })
	return nil, nil
}

// moveFiles moves the VM with every disk that it has to the same directory of another datastore. Other VMs
// that have one of these disks still name the old file, as in life.
func (l *lab) moveFiles(vm *simulator.VirtualMachine, store string) *fault {
	if len(snapshotsOf(vm)) > 0 {
		return refuse(new(types.NotSupported), "The lab's simulator does not move virtual machines with snapshots.")
	}
	var home object.DatastorePath
	home.FromString(vm.Config.Files.VmPathName)
	old := home
	home.Datastore = store
	_, vmx, f := l.resolve(home.String())
	if f != nil {
		return f
	}
	if err := os.MkdirAll(path.Dir(vmx), 0o700); err != nil {
		return fileFault(home.String(), err)
	}
	devices := append(object.VirtualDeviceList(nil), vm.Config.Hardware.Device...)
	for i, device := range devices {
		if held, ok := device.(*types.VirtualDisk); ok {
			if devices[i], f = l.moveHeld(vm, held, home.String()); f != nil {
				return f
			}
		}
	}
	_, before, _ := l.resolve(old.String())
	_ = os.Rename(before, vmx)
	l.locked(func() {
		l.setDevices(vm, devices)
		files := vm.Config.Files
		files.VmPathName = home.String()
		l.change(vm, set("config.files", files), set("summary.config.vmPathName", home.String()))
	})
	return nil
}

// moveHeld moves one disk beside the VM's other files and shows it there.
func (l *lab) moveHeld(
	vm *simulator.VirtualMachine, held *types.VirtualDisk, home string,
) (*types.VirtualDisk, *fault) {
	backing := flatBacking(held)
	if f := l.inUse(vm, chain(backing)); f != nil {
		return nil, f
	}
	d, f := l.readDisk(backing.FileName)
	if f != nil {
		return nil, f
	}
	name := path.Base(strings.TrimSuffix(d.descriptor, ".vmdk"))
	if f := l.moveDisk(d, inDirectory(home, name+".vmdk")); f != nil {
		return nil, f
	}
	moved := *held
	if moved.Backing, f = l.backing(d, backing.DiskMode); f != nil {
		return nil, f
	}
	return &moved, nil
}
