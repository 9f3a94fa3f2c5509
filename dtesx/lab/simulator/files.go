package main

import (
	"fmt"
	"net/http"
	"os"
	"path"
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

// moveVirtualDisk renames a disk with its data; as on ESXi no VM that has it is told.
func moveVirtualDisk(l *lab, c *call) (types.AnyType, *fault) {
	request := c.method.Body.(*types.MoveVirtualDisk_Task)
	d, f := l.readDisk(request.SourceName)
	if f != nil {
		return nil, f
	}
	if d.parent != "" {
		return nil, refuse(new(types.NotSupported), "The disk %s has a parent and cannot be moved alone.", d.path)
	}
	if f := l.inUse(new(simulator.VirtualMachine), []string{d.path}); f != nil {
		return nil, f
	}
	l.progress(c, 50)
	return nil, l.moveDisk(d, request.DestName)
}

// moveDisk gives the files of a disk another path; its identity goes with them.
func (l *lab) moveDisk(d *disk, dsPath string) *fault {
	target, f := l.diskFile(dsPath)
	if f != nil {
		return f
	}
	if !exists(path.Dir(target.descriptor)) {
		return missingFile(dsPath)
	}
	if exists(target.descriptor) || exists(target.data) {
		return existingFile(dsPath)
	}
	old := *d
	d.path, d.descriptor, d.data = target.path, target.descriptor, target.data
	if err := os.Rename(old.data, d.data); err != nil {
		return fileFault(dsPath, err)
	}
	if err := d.write(); err != nil {
		return fileFault(dsPath, err)
	}
	_ = os.Remove(old.descriptor)
	return nil
}

// searchDatastore lists the virtual disks in one directory; other queries are refused.
func searchDatastore(l *lab, c *call) (types.AnyType, *fault) {
	request := c.method.Body.(*types.SearchDatastore_Task)
	if request.SearchSpec == nil || len(request.SearchSpec.Query) != 1 {
		return nil, refuse(new(types.NotSupported), "The lab's simulator searches for virtual disks only.")
	}
	if _, disks := request.SearchSpec.Query[0].(*types.VmDiskFileQuery); !disks {
		return nil, refuse(new(types.NotSupported), "The lab's simulator searches for virtual disks only.")
	}
	ds, directory, f := l.resolve(request.DatastorePath)
	if f != nil {
		return nil, f
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, missingFile(request.DatastorePath)
	}
	result := types.HostDatastoreBrowserSearchResults{Datastore: &ds.Self, FolderPath: request.DatastorePath}
	for _, entry := range entries {
		d, f := l.readDisk(inDirectory(strings.TrimRight(request.DatastorePath, "/")+"/x", entry.Name()))
		if f == nil && matches(request.SearchSpec.MatchPattern, entry.Name()) {
			result.File = append(result.File, &types.VmDiskFileInfo{
				FileInfo: types.FileInfo{Path: entry.Name()}, CapacityKb: d.size >> 10, Thin: types.NewBool(d.thin),
			})
		}
	}
	return result, nil
}

func matches(patterns []string, name string) bool {
	for _, pattern := range patterns {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return len(patterns) == 0
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
