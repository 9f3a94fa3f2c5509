package main

import (
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// taskMethods are the methods that this program does itself, each as a task.
var taskMethods = map[string]taskMethod{
	"CreateVM_Task":                createVM,
	"ReconfigVM_Task":              reconfigVM,
	"Destroy_Task":                 destroy,
	"PowerOnVM_Task":               powerOnVM,
	"PowerOffVM_Task":              powerOffVM,
	"ResetVM_Task":                 resetVM,
	"CreateSnapshot_Task":          createSnapshot,
	"RevertToSnapshot_Task":        revertToSnapshot,
	"RevertToCurrentSnapshot_Task": revertToCurrent,
	"RemoveSnapshot_Task":          removeSnapshot,
	"RemoveAllSnapshots_Task":      removeAllSnapshots,
	"ConsolidateVMDisks_Task":      consolidateDisks,
	"CreateVirtualDisk_Task":       createVirtualDisk,
	"DeleteVirtualDisk_Task":       deleteVirtualDisk,
	"DeleteDatastoreFile_Task":     deleteFile,
	"MoveVirtualDisk_Task":         moveVirtualDisk,
	"SearchDatastore_Task":         searchDatastore,
	"RelocateVM_Task":              relocateVM,

	// These would change disks or power behind the back of the locks and the hooks.
	"CloneVM_Task":           unsupported,
	"SuspendVM_Task":         unsupported,
	"PowerOnMultiVM_Task":    unsupported,
	"CopyVirtualDisk_Task":   unsupported,
	"MoveDatastoreFile_Task": unsupported,
	"RegisterVM_Task":        unsupported,
	"RegisterChildVM_Task":   unsupported,
	"CreateChildVM_Task":     unsupported,
	"InstantClone_Task":      unsupported,
}

// taskName turns a method into what the simulator calls its task: CreateVM_Task -> createVm.
func taskName(method string) string {
	name := strings.TrimSuffix(method, "_Task")
	name = strings.Replace(name, "VM", "Vm", 1)
	switch name {
	case "PowerOnVm", "PowerOffVm", "ResetVm":
		name = strings.TrimSuffix(name, "Vm")
	}
	return strings.ToLower(name[:1]) + name[1:] + "Task"
}

func unsupported(_ *lab, c *call) (types.AnyType, *fault) {
	return nil, refuse(new(types.NotSupported), "The lab's simulator does not do %s.", c.method.Name)
}

// machine returns the VM that a call is about; managed objects may vanish while the task waited.
func machine(ref types.ManagedObjectReference) (*simulator.VirtualMachine, *fault) {
	if vm, ok := simulator.Map.Get(ref).(*simulator.VirtualMachine); ok {
		return vm, nil
	}
	return nil, refuse(&types.ManagedObjectNotFound{Obj: ref},
		"The object '%s' has already been deleted or has not been completely created", ref)
}

func createVM(l *lab, c *call) (types.AnyType, *fault) {
	request := c.method.Body.(*types.CreateVM_Task)
	folder, ok := simulator.Map.Get(c.method.This).(*simulator.Folder)
	if !ok {
		return nil, refuse(new(types.NotSupported), "Virtual machines are created in folders.")
	}
	ref, f := l.createMachine(c.user, folder, request.Pool, request.Host, request.Config)
	if f != nil {
		return nil, f
	}
	return ref, nil
}

// createMachine makes the whole VM or nothing.
func (l *lab) createMachine(
	user *account, folder *simulator.Folder, pool types.ManagedObjectReference,
	host *types.ManagedObjectReference, spec types.VirtualMachineConfigSpec,
) (types.ManagedObjectReference, *fault) {
	none := types.ManagedObjectReference{}
	if f := l.checkNew(folder, pool, &spec); f != nil {
		return none, f
	}
	devices := types.VirtualMachineConfigSpec{DeviceChange: spec.DeviceChange, ExtraConfig: spec.ExtraConfig}
	spec.DeviceChange, spec.ExtraConfig = nil, nil
	var result types.AnyType
	var f *fault
	l.locked(func() {
		request := &types.CreateVM_Task{This: folder.Self, Config: spec, Pool: pool, Host: host}
		result, f = inner(folder.CreateVMTask(l.context(user), request))
	})
	if f != nil {
		return none, f
	}
	ref := result.(types.ManagedObjectReference)
	vm, f := machine(ref)
	if f != nil {
		return none, f
	}
	if f := l.reshape(user, vm, &devices); f != nil {
		_ = l.destroyMachine(user, vm)
		return none, f
	}
	return ref, nil
}

// checkNew refuses what ESXi refuses before anything is made.
func (l *lab) checkNew(
	folder *simulator.Folder, pool types.ManagedObjectReference, spec *types.VirtualMachineConfigSpec,
) *fault {
	if spec.Name == "" || strings.ContainsAny(spec.Name, "/\\%") || len(spec.Name) > 80 {
		return refuse(&types.InvalidName{Name: spec.Name}, "The name '%s' is invalid.", spec.Name)
	}
	if f := l.nameTaken(folder, spec.Name); f != nil {
		return f
	}
	if _, ok := simulator.Map.Get(pool).(mo.Entity); !ok {
		return refuse(&types.InvalidArgument{InvalidProperty: "pool"}, "A specified parameter was not correct: pool")
	}
	if spec.Files == nil || spec.Files.VmPathName == "" {
		kind := &types.InvalidVmConfig{Property: "configSpec.files.vmPathName"}
		return refuse(kind, "Invalid virtual machine configuration: configSpec.files.vmPathName is not set.")
	}
	if _, _, f := l.resolve(spec.Files.VmPathName); f != nil {
		return f
	}
	if spec.GuestId != "" && !strings.HasSuffix(spec.GuestId, "Guest") && !strings.HasSuffix(spec.GuestId, "Guest64") {
		return refuse(&types.InvalidArgument{InvalidProperty: "configSpec.guestId"},
			"A specified parameter was not correct: configSpec.guestId")
	}
	return l.room(spec.Files.VmPathName, thinRoom)
}

func (l *lab) nameTaken(folder *simulator.Folder, name string) *fault {
	for _, ref := range folder.ChildEntity {
		child, ok := simulator.Map.Get(ref).(mo.Entity)
		if ok && child.Entity().Name == name {
			return refuse(&types.DuplicateName{Name: name, Object: ref}, "The name '%s' already exists.", name)
		}
	}
	return nil
}

func reconfigVM(l *lab, c *call) (types.AnyType, *fault) {
	vm, f := machine(c.method.This)
	if f != nil {
		return nil, f
	}
	return nil, l.reshape(c.user, vm, &c.method.Body.(*types.ReconfigVM_Task).Spec)
}

func destroy(l *lab, c *call) (types.AnyType, *fault) {
	vm, f := machine(c.method.This)
	if f != nil {
		return nil, refuse(new(types.NotSupported), "The lab's simulator destroys virtual machines only.")
	}
	return nil, l.destroyMachine(c.user, vm)
}

// destroyMachine removes the VM with its own files; what else lies in its directory stays.
func (l *lab) destroyMachine(user *account, vm *simulator.VirtualMachine) *fault {
	files := l.allFiles(vm)
	for _, file := range files {
		if f := l.inUse(vm, []string{file}); f != nil {
			return f
		}
	}
	snapshots := snapshotsOf(vm)
	var f *fault
	l.locked(func() {
		f = faultOf(vm.UnregisterVM(l.context(user), &types.UnregisterVM{This: vm.Self}))
	})
	if f != nil {
		if _, off := f.kind.(*types.InvalidPowerState); off {
			f.text = "The attempted operation cannot be performed in the current state (Powered on)."
		}
		return f
	}
	l.locked(func() {
		for _, snapshot := range snapshots {
			simulator.Map.Remove(snapshot.Self)
		}
	})
	for _, file := range files {
		if d, f := l.diskFile(file); f == nil {
			d.remove()
		}
	}
	l.removeHome(vm)
	return nil
}

// removeHome deletes the VM's small files, and its directory when nothing else is in it.
func (l *lab) removeHome(vm *simulator.VirtualMachine) {
	_, vmx, f := l.resolve(vm.Config.Files.VmPathName)
	if f != nil {
		return
	}
	home := path.Dir(vmx)
	entries, _ := os.ReadDir(home)
	for _, entry := range entries {
		switch path.Ext(entry.Name()) {
		case ".vmx", ".nvram", ".log", ".vmsn", ".vmsd":
			_ = os.Remove(path.Join(home, entry.Name()))
		}
	}
	_ = os.Remove(home)
}

func powerOnVM(l *lab, c *call) (types.AnyType, *fault) {
	vm, f := machine(c.method.This)
	if f != nil {
		return nil, f
	}
	return nil, l.powerOn(c.user, vm)
}

func wrongState(vm *simulator.VirtualMachine, wanted types.VirtualMachinePowerState) *fault {
	kind := &types.InvalidPowerState{RequestedState: wanted, ExistingState: vm.Runtime.PowerState}
	return refuse(kind, "The attempted operation cannot be performed in the current state (%s).", vm.Runtime.PowerState)
}

func (l *lab) powerOn(user *account, vm *simulator.VirtualMachine) *fault {
	if poweredOn(vm) {
		return wrongState(vm, types.VirtualMachinePowerStatePoweredOn)
	}
	for _, device := range disksOf(vm.Config.Hardware.Device) {
		files := chain(flatBacking(device))
		for _, file := range files {
			if _, f := l.readDisk(file); f != nil {
				return f
			}
		}
		if f := l.inUse(vm, files); f != nil {
			return f
		}
	}
	call, f := l.startCall(vm)
	if f != nil {
		return f
	}
	if f := l.hooks.send(call); f != nil {
		return f
	}
	l.locked(func() {
		simulator.Map.WithLock(vm, func() {
			_, f = inner(vm.PowerOnVMTask(l.context(user), &types.PowerOnVM_Task{This: vm.Self}))
		})
	})
	return f
}

// startCall describes the machine to the lab.
func (l *lab) startCall(vm *simulator.VirtualMachine) (*hookCall, *fault) {
	hardware := vm.Config.Hardware
	call := &hookCall{
		Call: "power_on", VM: vm.Name, UUID: vm.Config.Uuid, Firmware: vm.Config.Firmware,
		CPUs: hardware.NumCPU, MemoryMiB: hardware.MemoryMB, Disks: []hookDisk{}, Nics: []hookNic{},
	}
	for _, device := range disksOf(hardware.Device) {
		described, f := l.describe(hardware.Device, device)
		if f != nil {
			return nil, f
		}
		call.Disks = append(call.Disks, *described)
	}
	for _, device := range hardware.Device {
		if card, ok := device.(types.BaseVirtualEthernetCard); ok {
			nic := card.GetVirtualEthernetCard()
			call.Nics = append(call.Nics, hookNic{MAC: nic.MacAddress, Network: networkName(nic.Backing)})
		}
	}
	return call, nil
}

// describe tells the lab where the data of a disk lies and where the guest finds it.
func (l *lab) describe(devices object.VirtualDeviceList, device *types.VirtualDisk) (*hookDisk, *fault) {
	d, f := l.readDisk(flatBacking(device).FileName)
	if f != nil {
		return nil, f
	}
	described := &hookDisk{File: d.data, UUID: d.uuid, Size: d.size}
	if device.UnitNumber != nil {
		described.Unit = *device.UnitNumber
	}
	if controller, ok := devices.FindByKey(device.ControllerKey).(types.BaseVirtualController); ok {
		described.Controller = controller.GetVirtualController().BusNumber
	}
	return described, nil
}

func powerOffVM(l *lab, c *call) (types.AnyType, *fault) {
	vm, f := machine(c.method.This)
	if f != nil {
		return nil, f
	}
	return nil, l.powerOff(c.user, vm)
}

func (l *lab) powerOff(user *account, vm *simulator.VirtualMachine) *fault {
	if !poweredOn(vm) {
		return wrongState(vm, types.VirtualMachinePowerStatePoweredOff)
	}
	if f := l.hooks.send(&hookCall{Call: "power_off", VM: vm.Name}); f != nil {
		return f
	}
	var f *fault
	l.locked(func() {
		simulator.Map.WithLock(vm, func() {
			_, f = inner(vm.PowerOffVMTask(l.context(user), &types.PowerOffVM_Task{This: vm.Self}))
		})
		l.setGuest(vm, "", "")
	})
	return f
}

func resetVM(l *lab, c *call) (types.AnyType, *fault) {
	vm, f := machine(c.method.This)
	if f == nil {
		f = l.powerOff(c.user, vm)
	}
	if f == nil {
		f = l.powerOn(c.user, vm)
	}
	return nil, f
}

// shutdownGuest has no task in the API: it only asks; here the guest obeys at once.
func shutdownGuest(g *gate, w http.ResponseWriter, _ *http.Request, c *call) {
	vm, f := machine(c.method.This)
	if f == nil {
		g.lab.work.Lock()
		defer g.lab.work.Unlock()
		f = g.lab.powerOff(c.user, vm)
	}
	if f != nil {
		f.write(w)
		return
	}
	writeResult(w, c.method.Name, "")
}
