package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

func queryDiskUUID(g *gate, w http.ResponseWriter, _ *http.Request, c *call) {
	d, f := g.lab.readDisk(c.method.Body.(*types.QueryVirtualDiskUuid).Name)
	if f != nil {
		f.write(w)
		return
	}
	writeResult(w, c.method.Name, fmt.Sprintf("<returnval>%s</returnval>", escaped(spread(d.uuid))))
}

func createVirtualDisk(l *lab, c *call) (types.AnyType, *fault) {
	request := c.method.Body.(*types.CreateVirtualDisk_Task)
	spec, ok := request.Spec.(*types.FileBackedVirtualDiskSpec)
	if !ok || spec.CapacityKb <= 0 {
		return nil, refuse(&types.InvalidArgument{InvalidProperty: "spec"}, "A specified parameter was not correct: spec")
	}
	d, f := l.diskFile(request.Name)
	if f != nil {
		return nil, f
	}
	d.size, d.uuid = spec.CapacityKb<<10, newDiskUUID()
	d.thin, d.eager = spec.DiskType == "thin", spec.DiskType == "eagerZeroedThick"
	return d.path, l.createDisk(d)
}

func deleteVirtualDisk(l *lab, c *call) (types.AnyType, *fault) {
	d, f := l.readDisk(c.method.Body.(*types.DeleteVirtualDisk_Task).Name)
	if f != nil {
		return nil, f
	}
	if f := l.inUse(new(simulator.VirtualMachine), []string{d.path}); f != nil {
		return nil, f
	}
	d.remove()
	return nil, nil
}

// deleteFile removes a file or a directory, unless a running machine uses a disk in it.
func deleteFile(l *lab, c *call) (types.AnyType, *fault) {
	name := c.method.Body.(*types.DeleteDatastoreFile_Task).Name
	ds, file, f := l.resolve(name)
	if f != nil {
		return nil, f
	}
	if !exists(file) {
		return nil, missingFile(name)
	}
	if file == ds.Info.GetDatastoreInfo().Url {
		return nil, refuse(&types.InvalidDatastorePath{DatastorePath: name}, "Invalid datastore path '%s'.", name)
	}
	for _, used := range l.usedFiles() {
		if used == file || strings.HasPrefix(used, file+"/") {
			return nil, lockedFault(name)
		}
	}
	if err := os.RemoveAll(file); err != nil {
		return nil, fileFault(name, err)
	}
	return nil, nil
}
