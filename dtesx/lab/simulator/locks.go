package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// chain lists the datastore paths of a disk, its top first.
func chain(backing *types.VirtualDiskFlatVer2BackingInfo) []string {
	var files []string
	for ; backing != nil; backing = backing.Parent {
		files = append(files, backing.FileName)
	}
	return files
}

func flatBacking(device *types.VirtualDisk) *types.VirtualDiskFlatVer2BackingInfo {
	backing, _ := device.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
	return backing
}

func disksOf(devices []types.BaseVirtualDevice) []*types.VirtualDisk {
	var found []*types.VirtualDisk
	for _, device := range devices {
		if d, ok := device.(*types.VirtualDisk); ok {
			found = append(found, d)
		}
	}
	return found
}

func poweredOn(vm *simulator.VirtualMachine) bool {
	return vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
}

// inUse tells whether another powered-on machine holds a file of the chain in a way that excludes us.
//
// A running machine writes the top of each chain and reads what is below it; so a top may not be
// anywhere in another chain, while two machines may read the same parents (linked clones).
func (l *lab) inUse(self *simulator.VirtualMachine, files []string) *fault {
	for _, entity := range simulator.Map.All("VirtualMachine") {
		vm := entity.(*simulator.VirtualMachine)
		if vm.Self == self.Self || !poweredOn(vm) {
			continue
		}
		for _, device := range disksOf(vm.Config.Hardware.Device) {
			theirs := chain(flatBacking(device))
			for i, file := range files {
				for j, other := range theirs {
					if file == other && (i == 0 || j == 0) {
						return lockedFault(file)
					}
				}
			}
		}
	}
	return nil
}

// allFiles lists every disk file that the machine owns: its present chains and those of its snapshots.
func (l *lab) allFiles(vm *simulator.VirtualMachine) []string {
	seen := make(map[string]bool)
	var files []string
	add := func(devices []types.BaseVirtualDevice) {
		for _, device := range disksOf(devices) {
			for _, file := range chain(flatBacking(device)) {
				if !seen[file] {
					seen[file] = true
					files = append(files, file)
				}
			}
		}
	}
	add(vm.Config.Hardware.Device)
	for _, snapshot := range snapshotsOf(vm) {
		add(snapshot.Config.Hardware.Device)
	}
	return files
}

// usedFiles lists the host's paths of all disk files that running machines have open.
func (l *lab) usedFiles() []string {
	var files []string
	for _, entity := range simulator.Map.All("VirtualMachine") {
		vm := entity.(*simulator.VirtualMachine)
		if !poweredOn(vm) {
			continue
		}
		for _, device := range disksOf(vm.Config.Hardware.Device) {
			for _, file := range chain(flatBacking(device)) {
				if d, f := l.diskFile(file); f == nil {
					files = append(files, d.descriptor, d.data)
				}
			}
		}
	}
	return files
}
