package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// devicePlan is a DeviceChange list, checked, with real keys: disks apart from the other devices.
type devicePlan struct {
	disks  []*diskChange
	others []types.BaseVirtualDeviceConfigSpec
	all    object.VirtualDeviceList // what the VM will have, to look up controllers
}

const (
	maxUnit      = 63
	reservedUnit = 7 // the SCSI controller itself
)

// planDevices checks a list of device changes against the VM as ESXi would, without changing anything.
func (l *lab) planDevices(
	vm *simulator.VirtualMachine, changes []types.BaseVirtualDeviceConfigSpec,
) (*devicePlan, *fault) {
	plan := &devicePlan{all: append(object.VirtualDeviceList(nil), vm.Config.Hardware.Device...)}
	for i, change := range changes {
		c := change.GetVirtualDeviceConfigSpec()
		if c.Device == nil {
			return nil, invalidDevice(i, "virtualDeviceSpec.device")
		}
		if c.Operation == types.VirtualDeviceConfigSpecOperationRemove {
			if f := l.planRemoval(vm, plan, c, i); f != nil {
				return nil, f
			}
		}
	}
	keys := l.assignKeys(plan, changes)
	for i, change := range changes {
		c := change.GetVirtualDeviceConfigSpec()
		var f *fault
		switch c.Operation {
		case types.VirtualDeviceConfigSpecOperationAdd:
			f = l.planAddition(vm, plan, c, i, keys)
		case types.VirtualDeviceConfigSpecOperationEdit:
			f = l.planEdit(plan, c, i)
		}
		if f != nil {
			return nil, f
		}
	}
	return plan, nil
}

func (l *lab) planRemoval(
	vm *simulator.VirtualMachine, plan *devicePlan, c *types.VirtualDeviceConfigSpec, index int,
) *fault {
	present := plan.all.FindByKey(c.Device.GetVirtualDevice().Key)
	if present == nil {
		return invalidDevice(index, "virtualDeviceSpec.device.key")
	}
	kept := plan.all[:0:0]
	for _, device := range plan.all {
		if device != present {
			kept = append(kept, device)
		}
	}
	device, isDisk := present.(*types.VirtualDisk)
	if !isDisk {
		c.Device = present // the key decides; the library would trust the rest of what the client sent
		plan.all, plan.others = kept, append(plan.others, c)
		return nil
	}
	change := &diskChange{operation: c.Operation, device: device}
	change.destroy = c.FileOperation == types.VirtualDeviceConfigSpecFileOperationDestroy
	file, f := l.readDisk(flatBacking(device).FileName)
	if f != nil { // the file is gone: the device can still be taken out
		file, _ = l.diskFile(flatBacking(device).FileName)
		change.destroy = false
	}
	change.file = file
	if change.destroy {
		if f := l.inUse(vm, []string{file.path}); f != nil {
			return f
		}
	}
	plan.all, plan.disks = kept, append(plan.disks, change)
	return nil
}

// assignKeys gives added controllers their real keys, so that disks in the same list can refer to them
// by the temporary ones.
func (l *lab) assignKeys(plan *devicePlan, changes []types.BaseVirtualDeviceConfigSpec) map[int32]int32 {
	keys := make(map[int32]int32)
	for _, change := range changes {
		c := change.GetVirtualDeviceConfigSpec()
		scsi, ok := c.Device.(types.BaseVirtualSCSIController)
		if !ok || c.Operation != types.VirtualDeviceConfigSpecOperationAdd {
			continue
		}
		controller := scsi.GetVirtualSCSIController()
		old := controller.Key
		controller.Key = freeKey(plan.all, 1000+controller.BusNumber)
		controller.ControllerKey = 100
		keys[old] = controller.Key
		plan.all = append(plan.all, c.Device)
		plan.others = append(plan.others, c)
	}
	return keys
}

func freeKey(devices object.VirtualDeviceList, key int32) int32 {
	for devices.FindByKey(key) != nil {
		key++
	}
	return key
}

func (l *lab) planAddition(
	vm *simulator.VirtualMachine, plan *devicePlan, c *types.VirtualDeviceConfigSpec, index int, keys map[int32]int32,
) *fault {
	switch device := c.Device.(type) {
	case types.BaseVirtualSCSIController:
		return checkBus(plan.all, device, index)
	case *types.VirtualDisk:
		return l.planNewDisk(vm, plan, c, device, index, keys)
	case types.BaseVirtualEthernetCard:
		nic := device.GetVirtualEthernetCard()
		if f := l.checkNic(vm, nic, index); f != nil {
			return f
		}
		nic.Key = freeKey(plan.all, 4000)
		unit := nic.Key - 4000 + 7
		nic.UnitNumber, nic.ControllerKey = &unit, 100
		plan.all = append(plan.all, c.Device)
	}
	plan.others = append(plan.others, c)
	return nil
}

func checkBus(devices object.VirtualDeviceList, added types.BaseVirtualSCSIController, index int) *fault {
	bus := added.GetVirtualSCSIController()
	if bus.BusNumber < 0 || bus.BusNumber > 3 {
		return invalidDevice(index, "virtualDeviceSpec.device.busNumber")
	}
	for _, device := range devices {
		other, ok := device.(types.BaseVirtualSCSIController)
		if !ok {
			continue
		}
		if controller := other.GetVirtualSCSIController(); controller != bus && controller.BusNumber == bus.BusNumber {
			return invalidDevice(index, "virtualDeviceSpec.device.busNumber")
		}
	}
	return nil
}

func (l *lab) planNewDisk(
	vm *simulator.VirtualMachine, plan *devicePlan, c *types.VirtualDeviceConfigSpec,
	device *types.VirtualDisk, index int, keys map[int32]int32,
) *fault {
	asked := flatBacking(device)
	if asked == nil {
		return invalidDevice(index, "virtualDeviceSpec.device.backing")
	}
	if real, ok := keys[device.ControllerKey]; ok {
		device.ControllerKey = real
	}
	if f := checkPlace(plan.all, device, index); f != nil {
		return f
	}
	taken := make(map[string]bool)
	for _, other := range plan.disks {
		taken[other.file.path] = true
	}
	change := &diskChange{operation: c.Operation, device: device}
	var f *fault
	switch c.FileOperation {
	case types.VirtualDeviceConfigSpecFileOperationCreate:
		change.create = true
		change.file, f = l.freshDisk(device, asked, l.newDiskPath(vm, asked.FileName, taken), index)
	case "":
		if change.file, f = l.readDisk(asked.FileName); f == nil {
			f = attachedTwice(plan.all, change.file.path, index)
		}
	default:
		f = refuse(new(types.NotSupported), "The file operation '%s' is not supported.", c.FileOperation)
	}
	if f != nil {
		return f
	}
	device.Key = freeKey(plan.all, 2000+(device.ControllerKey-1000)*64+*device.UnitNumber)
	plan.all, plan.disks = append(plan.all, device), append(plan.disks, change)
	return nil
}

// checkPlace wants a controller that exists and a unit on it that is free.
func checkPlace(devices object.VirtualDeviceList, device *types.VirtualDisk, index int) *fault {
	if devices.FindByKey(device.ControllerKey) == nil {
		kind := new(types.MissingController)
		kind.DeviceIndex, kind.Property = int32(index), "virtualDeviceSpec.device.controllerKey"
		return refuse(kind, "The device '%d' is referring to a nonexisting controller '%d'.", index, device.ControllerKey)
	}
	unit := device.UnitNumber
	if unit == nil || *unit < 0 || *unit > maxUnit || *unit == reservedUnit {
		return invalidDevice(index, "virtualDeviceSpec.device.unitNumber")
	}
	for _, other := range devices {
		d := other.GetVirtualDevice()
		if d.ControllerKey == device.ControllerKey && d.UnitNumber != nil && *d.UnitNumber == *unit {
			return invalidDevice(index, "virtualDeviceSpec.device.unitNumber")
		}
	}
	return nil
}

func (l *lab) freshDisk(
	device *types.VirtualDisk, asked *types.VirtualDiskFlatVer2BackingInfo, dsPath string, index int,
) (*disk, *fault) {
	d, f := l.diskFile(dsPath)
	if f != nil {
		return nil, f
	}
	d.size = device.CapacityInBytes
	if d.size == 0 {
		d.size = device.CapacityInKB << 10
	}
	if d.size <= 0 {
		return nil, invalidDevice(index, "virtualDeviceSpec.device.capacityInKB")
	}
	d.uuid = newDiskUUID()
	if asked.Uuid != "" {
		d.uuid = gather(asked.Uuid)
	}
	d.thin = asked.ThinProvisioned != nil && *asked.ThinProvisioned
	d.eager = asked.EagerlyScrub != nil && *asked.EagerlyScrub
	return d, nil
}

func attachedTwice(devices object.VirtualDeviceList, dsPath string, index int) *fault {
	for _, other := range disksOf(devices) {
		for _, file := range chain(flatBacking(other)) {
			if file == dsPath {
				return invalidDevice(index, "virtualDeviceSpec.device.backing.fileName")
			}
		}
	}
	return nil
}

// planEdit lets a disk grow; other devices are changed by govmomi's simulator.
func (l *lab) planEdit(plan *devicePlan, c *types.VirtualDeviceConfigSpec, index int) *fault {
	present := plan.all.FindByKey(c.Device.GetVirtualDevice().Key)
	if present == nil {
		return invalidDevice(index, "virtualDeviceSpec.device.key")
	}
	asked, isDisk := c.Device.(*types.VirtualDisk)
	if !isDisk {
		if c.Device.GetVirtualDevice().DeviceInfo == nil { // the simulator reads it unasked
			c.Device.GetVirtualDevice().DeviceInfo = new(types.Description)
		}
		plan.others = append(plan.others, c)
		return nil
	}
	device := *present.(*types.VirtualDisk)
	file, f := l.readDisk(flatBacking(&device).FileName)
	if f != nil {
		return f
	}
	device.CapacityInBytes = asked.CapacityInBytes
	if device.CapacityInBytes == 0 || device.CapacityInBytes == file.size {
		device.CapacityInBytes = asked.CapacityInKB << 10
	}
	if device.CapacityInBytes < file.size {
		return invalidDevice(index, "virtualDeviceSpec.device.capacityInKB")
	}
	if device.CapacityInBytes > file.size && file.parent != "" {
		return genericFault("A disk with snapshots cannot be resized.")
	}
	plan.disks = append(plan.disks, &diskChange{operation: c.Operation, device: &device, file: file})
	return nil
}

func (d *disk) grow(size int64) error {
	if size == d.size {
		return nil
	}
	if err := os.Truncate(d.data, size); err != nil {
		return err
	}
	d.size = size
	return d.write()
}

// checkNic wants a network that exists, and gives the card an address of vCenter's range.
func (l *lab) checkNic(vm *simulator.VirtualMachine, nic *types.VirtualEthernetCard, index int) *fault {
	known := false
	switch backing := nic.Backing.(type) {
	case *types.VirtualEthernetCardNetworkBackingInfo:
		known = standardNetwork(vm, backing.DeviceName)
	case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
		ref := types.ManagedObjectReference{Type: "DistributedVirtualPortgroup", Value: backing.Port.PortgroupKey}
		known = simulator.Map.Get(ref) != nil
	}
	if !known {
		return invalidDevice(index, "virtualDeviceSpec.device.backing")
	}
	if nic.MacAddress == "" {
		nic.MacAddress, nic.AddressType = l.newMAC(), string(types.VirtualEthernetCardMacTypeAssigned)
	} else {
		nic.MacAddress, nic.AddressType = strings.ToLower(nic.MacAddress), string(types.VirtualEthernetCardMacTypeManual)
		l.macs[nic.MacAddress] = true
	}
	return nil
}

func standardNetwork(vm *simulator.VirtualMachine, name string) bool {
	host, ok := simulator.Map.Get(*vm.Runtime.Host).(*simulator.HostSystem)
	if !ok {
		return false
	}
	for _, ref := range host.Network {
		if network, ok := simulator.Map.Get(ref).(*mo.Network); ok && network.Name == name {
			return true
		}
	}
	return false
}

func networkName(backing types.BaseVirtualDeviceBackingInfo) string {
	switch b := backing.(type) {
	case *types.VirtualEthernetCardNetworkBackingInfo:
		return b.DeviceName
	case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
		ref := types.ManagedObjectReference{Type: "DistributedVirtualPortgroup", Value: b.Port.PortgroupKey}
		if group, ok := simulator.Map.Get(ref).(*simulator.DistributedVirtualPortgroup); ok {
			return group.Name
		}
	}
	return ""
}

// newMAC picks from 00:50:56:80:00:00 to 00:50:56:bf:ff:ff, which vCenter assigns from; work is held.
func (l *lab) newMAC() string {
	for {
		raw := make([]byte, 3)
		if _, err := rand.Read(raw); err != nil {
			panic(err)
		}
		mac := fmt.Sprintf("00:50:56:%02x:%02x:%02x", 0x80|raw[0]&0x3f, raw[1], raw[2])
		if !l.macs[mac] {
			l.macs[mac] = true
			return mac
		}
	}
}
