package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// Names of the simulated site, as docs/simulator.md lists them.
const (
	datacenterName = "Lab"
	clusterName    = "Cluster"
	hostName       = "esx1.lab"
	datastoreName  = "datastore1"
	switchName     = "DSwitch"
	portGroupName  = "Recovery Network"

	// A place to move virtual machines to, where the configuration asks for one.
	spareHost  = "esx2.lab"
	spareStore = "datastore2"
)

// newLab builds the inventory: one of each, and the appliance's machine.
func newLab(c *config) (*lab, error) {
	if err := os.MkdirAll(c.Datastore, 0o700); err != nil {
		return nil, err
	}
	l := &lab{
		config: c, hooks: new(hooks), faults: make(map[string]*injection),
		limits: make(map[string]int64), macs: make(map[string]bool),
	}
	model := simulator.VPX()
	model.Datacenter, model.Portgroup, model.Host, model.Cluster, model.Datastore, model.Machine = 0, 0, 0, 0, 0, 0
	if err := model.Create(); err != nil {
		return nil, err
	}
	l.service = model.Service
	simulator.Map.AddHandler(entityFilter{})
	if err := l.build(); err != nil {
		return nil, fmt.Errorf("inventory: %w", err)
	}
	l.service.Listen = &url.URL{User: simulator.DefaultLogin} // accepts any name: the gate has judged it
	l.service.RegisterSDK(simulator.Map)
	l.service.ServeMux.HandleFunc(simulator.Map.Path+"/vimService", l.service.ServeSDK)
	l.service.ServeMux.HandleFunc(simulator.Map.Path+"/vimServiceVersions.xml", l.service.ServiceVersions)
	l.service.ServeMux.HandleFunc("/folder/", l.service.ServeDatastore)
	l.service.ServeMux.HandleFunc("/nfc/", simulator.ServeNFC)
	l.addRoles()
	if err := l.addAppliance(); err != nil {
		return nil, fmt.Errorf("appliance VM: %w", err)
	}
	l.hooks.socket = c.Hooks // only now: the lab starts the appliance itself
	return l, nil
}

func (l *lab) build() error {
	ctx := context.Background()
	client, err := vim25.NewClient(ctx, l.service)
	if err != nil {
		return err
	}
	center, err := object.NewRootFolder(client).CreateDatacenter(ctx, datacenterName)
	if err != nil {
		return err
	}
	folders, err := center.Folders(ctx)
	if err != nil {
		return err
	}
	cluster, err := folders.HostFolder.CreateCluster(ctx, clusterName, types.ClusterConfigSpecEx{})
	if err != nil {
		return err
	}
	task, err := cluster.AddHost(ctx, types.HostConnectSpec{HostName: hostName}, true, nil, nil)
	if err != nil {
		return err
	}
	info, err := task.WaitForResult(ctx, nil)
	if err != nil {
		return err
	}
	host := object.NewHostSystem(client, info.Result.(types.ManagedObjectReference))
	stores, err := host.ConfigManager().DatastoreSystem(ctx)
	if err != nil {
		return err
	}
	if _, err := stores.CreateLocalDatastore(ctx, datastoreName, l.config.Datastore); err != nil {
		return err
	}
	if l.config.Spare {
		if err := addSpare(ctx, cluster, host, l.config.Datastore+"2"); err != nil {
			return err
		}
	}
	return addSwitch(ctx, client, folders, host)
}

// addSpare adds a second host and a second datastore; both hosts have both datastores.
func addSpare(
	ctx context.Context, cluster *object.ClusterComputeResource, first *object.HostSystem, directory string,
) error {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	stores, err := first.ConfigManager().DatastoreSystem(ctx)
	if err != nil {
		return err
	}
	if _, err := stores.CreateLocalDatastore(ctx, spareStore, directory); err != nil {
		return err
	}
	task, err := cluster.AddHost(ctx, types.HostConnectSpec{HostName: spareHost}, true, nil, nil)
	if err != nil {
		return err
	}
	info, err := task.WaitForResult(ctx, nil)
	if err != nil {
		return err
	}
	second := simulator.Map.Get(info.Result.(types.ManagedObjectReference)).(*simulator.HostSystem)
	second.Datastore = simulator.Map.Get(first.Reference()).(*simulator.HostSystem).Datastore
	return nil
}

func addSwitch(
	ctx context.Context, client *vim25.Client, folders *object.DatacenterFolders, host *object.HostSystem,
) error {
	settings := &types.VMwareDVSConfigSpec{}
	settings.Name = switchName
	task, err := folders.NetworkFolder.CreateDVS(ctx, types.DVSCreateSpec{ConfigSpec: settings})
	if err != nil {
		return err
	}
	info, err := task.WaitForResult(ctx, nil)
	if err != nil {
		return err
	}
	dvs := object.NewDistributedVirtualSwitch(client, info.Result.(types.ManagedObjectReference))
	center := simulator.Map.Any("Datacenter").(*simulator.Datacenter)
	simulator.RemoveReference(&center.Network, dvs.Reference()) // a switch is no network; the library lists it
	if task, err = dvs.AddPortgroup(ctx, []types.DVPortgroupConfigSpec{{Name: portGroupName}}); err != nil {
		return err
	}
	if err = task.Wait(ctx); err != nil {
		return err
	}
	member := types.DistributedVirtualSwitchHostMemberConfigSpec{
		Operation: string(types.ConfigSpecOperationAdd), Host: host.Reference(),
	}
	task, err = dvs.Reconfigure(ctx, &types.DVSConfigSpec{
		Host: []types.DistributedVirtualSwitchHostMemberConfigSpec{member},
	})
	if err != nil {
		return err
	}
	return task.Wait(ctx)
}

// addRoles shows the configured accounts where a client looks for them; the gate enforces them.
func (l *lab) addRoles() {
	content := simulator.Map.Get(vim25.ServiceInstance).(*simulator.ServiceInstance).Content
	manager := simulator.Map.Get(*content.AuthorizationManager).(*simulator.AuthorizationManager)
	for i, user := range l.config.Users {
		if user.Privileges == nil {
			continue
		}
		manager.RoleList = append(manager.RoleList, types.AuthorizationRole{
			RoleId: int32(100 + i), Name: user.Role, Info: &types.Description{Label: user.Role, Summary: user.Role},
			Privilege: append([]string{"System.Anonymous", "System.Read", "System.View"}, user.Privileges...),
		})
	}
}

// addAppliance makes the appliance's VM, powered on, with a small boot disk.
func (l *lab) addAppliance() error {
	if l.config.ApplianceName == "" {
		return nil
	}
	admin := &account{Name: "lab"}
	zero, boot := int32(0), int32(-2)
	spec := types.VirtualMachineConfigSpec{
		Name: l.config.ApplianceName, Uuid: l.config.ApplianceUUID, GuestId: "debian11_64Guest",
		Annotation: "dtesx virtual recovery appliance", NumCPUs: 2, MemoryMB: 4096,
		Files:       &types.VirtualMachineFileInfo{VmPathName: "[" + datastoreName + "]"},
		ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "disk.EnableUUID", Value: "TRUE"}},
		DeviceChange: []types.BaseVirtualDeviceConfigSpec{
			&types.VirtualDeviceConfigSpec{
				Operation: types.VirtualDeviceConfigSpecOperationAdd,
				Device: &types.ParaVirtualSCSIController{VirtualSCSIController: types.VirtualSCSIController{
					SharedBus:         types.VirtualSCSISharingNoSharing,
					VirtualController: types.VirtualController{VirtualDevice: types.VirtualDevice{Key: -1}},
				}},
			},
			&types.VirtualDeviceConfigSpec{
				Operation:     types.VirtualDeviceConfigSpecOperationAdd,
				FileOperation: types.VirtualDeviceConfigSpecFileOperationCreate,
				Device: &types.VirtualDisk{CapacityInKB: 16 << 20, VirtualDevice: types.VirtualDevice{
					Key: boot, ControllerKey: -1, UnitNumber: &zero,
					Backing: &types.VirtualDiskFlatVer2BackingInfo{
						DiskMode: "persistent", ThinProvisioned: types.NewBool(true),
						VirtualDeviceFileBackingInfo: types.VirtualDeviceFileBackingInfo{FileName: "[" + datastoreName + "]"},
					},
				}},
			},
			&types.VirtualDeviceConfigSpec{
				Operation: types.VirtualDeviceConfigSpecOperationAdd,
				Device:    nicOn("VM Network"),
			},
		},
	}
	ref, f := l.createMachine(admin, l.machineFolder(), l.rootPool(), nil, spec)
	if f == nil {
		f = l.powerOn(admin, simulator.Map.Get(ref).(*simulator.VirtualMachine))
	}
	if f != nil {
		return fmt.Errorf("%s: %s", f.name(), f.text)
	}
	return nil
}

func nicOn(network string) *types.VirtualVmxnet3 {
	nic := new(types.VirtualVmxnet3)
	nic.Key = -3
	nic.Backing = &types.VirtualEthernetCardNetworkBackingInfo{
		VirtualDeviceDeviceBackingInfo: types.VirtualDeviceDeviceBackingInfo{DeviceName: network},
	}
	return nic
}

func (l *lab) machineFolder() *simulator.Folder {
	center := simulator.Map.Any("Datacenter").(*simulator.Datacenter)
	return simulator.Map.Get(center.VmFolder).(*simulator.Folder)
}

func (l *lab) rootPool() types.ManagedObjectReference {
	return *simulator.Map.Any("ClusterComputeResource").(*simulator.ClusterComputeResource).ResourcePool
}

// entityFilter takes managers out of info.entity of tasks: clients expect a managed entity there or nothing.
type entityFilter struct{}

func (entityFilter) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "EntityFilter", Value: "EntityFilter"}
}

func (entityFilter) PutObject(item mo.Reference) {
	task, ok := item.(*simulator.Task)
	if !ok || task.Info.Entity == nil {
		return
	}
	if _, entity := simulator.Map.Get(*task.Info.Entity).(mo.Entity); !entity {
		task.Info.Entity, task.Info.EntityName = nil, ""
	}
}

// UpdateObject gives the errors of the simulator's own tasks a readable name.
func (entityFilter) UpdateObject(item mo.Reference, _ []types.PropertyChange) {
	task, ok := item.(*mo.Task)
	if ok && task.Info.Error != nil && strings.HasPrefix(task.Info.Error.LocalizedMessage, "*") {
		task.Info.Error.LocalizedMessage = reflect.TypeOf(task.Info.Error.Fault).Elem().Name()
	}
}

func (entityFilter) RemoveObject(types.ManagedObjectReference) {}
