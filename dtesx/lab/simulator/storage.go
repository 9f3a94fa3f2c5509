package main

import (
	"errors"
	"io"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// What a datastore must have free for a thin disk or for a delta (one file system block of VMFS, and
// the smallest delta ESXi makes).
const (
	thinRoom  = 1 << 20
	deltaRoom = 16 << 20
)

func (l *lab) store(name string) *simulator.Datastore {
	for _, entity := range simulator.Map.All("Datastore") {
		if ds := entity.(*simulator.Datastore); ds.Name == name {
			return ds
		}
	}
	return nil
}

// freeBytes is what the host's file system has, or less where a test pretends so.
func (l *lab) freeBytes(ds *simulator.Datastore) (free, capacity int64) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(ds.Info.GetDatastoreInfo().Url, &stat); err != nil {
		return 0, ds.Summary.Capacity
	}
	free, capacity = int64(stat.Bavail)*stat.Bsize, int64(stat.Blocks)*stat.Bsize
	if limit, ok := l.limits[ds.Name]; ok && limit < free {
		free = limit
	}
	return free, capacity
}

// refreshStores keeps the datastores' free space honest; the caller holds state.
func (l *lab) refreshStores() {
	for _, entity := range simulator.Map.All("Datastore") {
		ds := entity.(*simulator.Datastore)
		free, capacity := l.freeBytes(ds)
		simulator.Map.WithLock(ds, func() {
			ds.Summary.FreeSpace, ds.Summary.Capacity = free, capacity
			ds.Info.GetDatastoreInfo().FreeSpace = free
		})
	}
}

func full(ds, file string) *fault {
	return refuse(&types.NoDiskSpace{Datastore: ds, FileFault: types.FileFault{File: file}},
		"Insufficient disk space on datastore '%s'.", ds)
}

// room refuses when fewer than bytes are free where dsPath lies.
func (l *lab) room(dsPath string, bytes int64) *fault {
	ds, _, f := l.resolve(dsPath)
	if f != nil {
		return f
	}
	if free, _ := l.freeBytes(ds); free < bytes {
		return full(ds.Name, dsPath)
	}
	return nil
}

// resolve finds the datastore and the host's path of a datastore path such as "[ds] dir/file".
func (l *lab) resolve(dsPath string) (*simulator.Datastore, string, *fault) {
	var p object.DatastorePath
	if !p.FromString(dsPath) {
		return nil, "", refuse(&types.InvalidDatastorePath{
			InvalidDatastore: types.InvalidDatastore{Name: p.Datastore}, DatastorePath: dsPath,
		}, "Invalid datastore path '%s'.", dsPath)
	}
	ds := l.store(p.Datastore)
	if ds == nil {
		return nil, "", refuse(&types.InvalidDatastorePath{
			InvalidDatastore: types.InvalidDatastore{Name: p.Datastore}, DatastorePath: dsPath,
		}, "Invalid datastore path '%s': there is no datastore '%s'.", dsPath, p.Datastore)
	}
	return ds, path.Join(ds.Info.GetDatastoreInfo().Url, path.Clean("/"+p.Path)), nil
}

// inDirectory names a file beside another one, as a datastore path.
func inDirectory(dsPath, name string) string {
	var p object.DatastorePath
	p.FromString(dsPath)
	p.Path = path.Join(path.Dir(p.Path), name)
	return p.String()
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

// ficlone is FICLONE of linux/fs.h: the copy shares its blocks with the source until one is written.
const ficlone = 0x40049409

// cloneFile makes an independent copy, sharing blocks where the file system can, keeping holes otherwise.
func cloneFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer target.Close()
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, target.Fd(), ficlone, source.Fd())
	if errno == 0 {
		return nil
	}
	if err := copySparse(source, target); err != nil {
		_ = os.Remove(to)
		return err
	}
	return nil
}

// copySparse copies the written ranges only (lseek SEEK_DATA = 3 and SEEK_HOLE = 4).
func copySparse(source, target *os.File) error {
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if err := target.Truncate(info.Size()); err != nil {
		return err
	}
	for at := int64(0); at < info.Size(); {
		data, err := source.Seek(at, 3)
		if errors.Is(err, syscall.ENXIO) {
			return nil // only a hole is left
		}
		if err != nil {
			return err
		}
		hole, err := source.Seek(data, 4)
		if err != nil {
			return err
		}
		if _, err := source.Seek(data, io.SeekStart); err != nil {
			return err
		}
		if _, err := target.Seek(data, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.CopyN(target, source, hole-data); err != nil {
			return err
		}
		at = hole
	}
	return nil
}

func flatName(descriptor string) string {
	return strings.TrimSuffix(descriptor, ".vmdk") + "-flat.vmdk"
}
