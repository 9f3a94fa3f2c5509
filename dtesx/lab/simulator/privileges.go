package main

import (
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

// account is one user of the simulated vCenter. A nil privilege list grants everything.
type account struct {
	Name       string   `json:"name"`
	Password   string   `json:"password"`
	Role       string   `json:"role"`
	Privileges []string `json:"privileges"`
}

func (a *account) may(privilege string) bool {
	if a.Privileges == nil {
		return true
	}
	for _, granted := range a.Privileges {
		if granted == privilege {
			return true
		}
	}
	return false
}

// required lists the privileges that vSphere documents for each method, where one is always needed.
var required = map[string][]string{
	"CreateVM_Task":                  {"VirtualMachine.Inventory.Create", "Resource.AssignVMToPool"},
	"RegisterVM_Task":                {"VirtualMachine.Inventory.Register"},
	"UnregisterVM":                   {"VirtualMachine.Inventory.Unregister"},
	"Destroy_Task":                   {"VirtualMachine.Inventory.Delete"},
	"CloneVM_Task":                   {"VirtualMachine.Provisioning.Clone"},
	"PowerOnVM_Task":                 {"VirtualMachine.Interact.PowerOn"},
	"PowerOffVM_Task":                {"VirtualMachine.Interact.PowerOff"},
	"ShutdownGuest":                  {"VirtualMachine.Interact.PowerOff"},
	"ResetVM_Task":                   {"VirtualMachine.Interact.Reset"},
	"SuspendVM_Task":                 {"VirtualMachine.Interact.Suspend"},
	"CreateSnapshot_Task":            {"VirtualMachine.State.CreateSnapshot"},
	"RevertToSnapshot_Task":          {"VirtualMachine.State.RevertToSnapshot"},
	"RevertToCurrentSnapshot_Task":   {"VirtualMachine.State.RevertToSnapshot"},
	"RemoveSnapshot_Task":            {"VirtualMachine.State.RemoveSnapshot"},
	"RemoveAllSnapshots_Task":        {"VirtualMachine.State.RemoveSnapshot"},
	"ConsolidateVMDisks_Task":        {"VirtualMachine.State.RemoveSnapshot"},
	"RenameSnapshot":                 {"VirtualMachine.State.RenameSnapshot"},
	"Rename_Task":                    {"VirtualMachine.Config.Rename"},
	"CreateFolder":                   {"Folder.Create"},
	"CreateResourcePool":             {"Resource.CreatePool"},
	"SearchDatastore_Task":           {"Datastore.Browse"},
	"SearchDatastoreSubFolders_Task": {"Datastore.Browse"},
	"MakeDirectory":                  {"Datastore.FileManagement"},
	"DeleteDatastoreFile_Task":       {"Datastore.FileManagement"},
	"MoveDatastoreFile_Task":         {"Datastore.FileManagement"},
	"CopyDatastoreFile_Task":         {"Datastore.FileManagement"},
	"CreateVirtualDisk_Task":         {"Datastore.FileManagement"},
	"DeleteVirtualDisk_Task":         {"Datastore.FileManagement"},
	"MoveVirtualDisk_Task":           {"Datastore.FileManagement"},
	"CopyVirtualDisk_Task":           {"Datastore.FileManagement"},
	"TerminateSession":               {"Sessions.TerminateSession"},
	"ImportVApp":                     {"VApp.Import"},
}

// demanded is everything a call needs: the method's own privileges and those of what its spec asks for.
func demanded(method string, body types.AnyType) []string {
	needs := append([]string(nil), required[method]...)
	switch request := body.(type) {
	case *types.CreateVM_Task:
		needs = append(needs, deviceNeeds(&request.Config)...)
	case *types.ReconfigVM_Task:
		needs = append(needs, configNeeds(&request.Spec)...)
		needs = append(needs, deviceNeeds(&request.Spec)...)
	}
	if len(needs) == 0 && method != "ReconfigVM_Task" && strings.HasSuffix(method, "_Task") {
		needs = []string{"Global.Settings"} // nothing else that changes the inventory is open to a limited role
	}
	return needs
}

func configNeeds(spec *types.VirtualMachineConfigSpec) []string {
	var needs []string
	add := func(wanted bool, privilege string) {
		if wanted {
			needs = append(needs, privilege)
		}
	}
	add(spec.Name != "", "VirtualMachine.Config.Rename")
	add(spec.Annotation != "", "VirtualMachine.Config.Annotation")
	add(spec.NumCPUs != 0, "VirtualMachine.Config.CPUCount")
	add(spec.MemoryMB != 0, "VirtualMachine.Config.Memory")
	add(len(spec.ExtraConfig) > 0, "VirtualMachine.Config.AdvancedConfig")
	add(spec.Firmware != "" || spec.BootOptions != nil || spec.GuestId != "", "VirtualMachine.Config.Settings")
	return needs
}

func deviceNeeds(spec *types.VirtualMachineConfigSpec) []string {
	var needs []string
	for _, change := range spec.DeviceChange {
		c := change.GetVirtualDeviceConfigSpec()
		switch c.Device.(type) {
		case *types.VirtualDisk:
			needs = append(needs, diskNeeds(c)...)
		case types.BaseVirtualEthernetCard:
			needs = append(needs, "VirtualMachine.Config.AddRemoveDevice", "Network.Assign")
		case nil:
		default:
			needs = append(needs, "VirtualMachine.Config.AddRemoveDevice")
		}
	}
	return needs
}

func diskNeeds(c *types.VirtualDeviceConfigSpec) []string {
	switch {
	case c.Operation == types.VirtualDeviceConfigSpecOperationRemove:
		return []string{"VirtualMachine.Config.RemoveDisk"}
	case c.Operation == types.VirtualDeviceConfigSpecOperationEdit:
		return []string{"VirtualMachine.Config.DiskExtend"}
	case c.FileOperation == types.VirtualDeviceConfigSpecFileOperationCreate:
		return []string{"VirtualMachine.Config.AddNewDisk", "Datastore.AllocateSpace"}
	default:
		return []string{"VirtualMachine.Config.AddExistingDisk"}
	}
}
