package main

import (
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"
)

// disk is one virtual disk file pair: the descriptor NAME.vmdk and its data NAME-flat.vmdk.
// Everything that must survive a detach lives in the descriptor, as on ESXi.
type disk struct {
	path       string // datastore path of the descriptor
	descriptor string
	data       string
	size       int64 // bytes
	uuid       string
	thin       bool
	eager      bool
	parent     string // datastore path of the disk below, for a delta
}

var (
	extentLine = regexp.MustCompile(`(?m)^RW (\d+) VMFS(?:SPARSE)? "([^"]+)"`)
	uuidLine   = regexp.MustCompile(`(?m)^ddb\.uuid = "([0-9A-Fa-f -]+)"`)
	hintLine   = regexp.MustCompile(`(?m)^parentFileNameHint="([^"]+)"`)
	notHex     = regexp.MustCompile(`[^0-9a-fA-F]`)
)

// spread writes a UUID the way descriptors hold it: bytes in pairs, a dash in the middle.
func spread(uuid string) string {
	hex := notHex.ReplaceAllString(uuid, "")
	pairs := make([]string, 0, 16)
	for i := 0; i+1 < len(hex); i += 2 {
		pairs = append(pairs, hex[i:i+2])
	}
	if len(pairs) != 16 {
		return strings.Join(pairs, " ")
	}
	return strings.Join(pairs[:8], " ") + "-" + strings.Join(pairs[8:], " ")
}

// gather is the opposite of spread: 6000C29f-0123-... as the API shows backing UUIDs.
func gather(spreaded string) string {
	hex := notHex.ReplaceAllString(spreaded, "")
	if len(hex) != 32 {
		return spreaded
	}
	return strings.ToUpper(hex[:7]) + strings.ToLower(hex[7:8]+"-"+hex[8:12]+"-"+hex[12:16]+"-"+hex[16:20]+"-"+hex[20:])
}

// write stores the descriptor, replacing an old one whole.
func (d *disk) write() error {
	lines := []string{
		"# Disk DescriptorFile", "version=1", fmt.Sprintf("CID=%08x", rand.Uint32()),
		"parentCID=ffffffff", `createType="vmfs"`,
	}
	if d.parent != "" {
		lines = append(lines, fmt.Sprintf("parentFileNameHint=%q", d.parent))
	}
	lines = append(lines, "", "# Extent description",
		fmt.Sprintf("RW %d VMFS %q", d.size/512, path.Base(d.data)), "", "# The Disk Data Base", "#DDB", "",
		`ddb.adapterType = "lsilogic"`, fmt.Sprintf("ddb.uuid = %q", spread(d.uuid)))
	if d.thin {
		lines = append(lines, `ddb.thinProvisioned = "1"`)
	}
	if d.eager {
		lines = append(lines, `ddb.eagerlyScrub = "1"`)
	}
	temporary := d.descriptor + ".new"
	if err := os.WriteFile(temporary, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, d.descriptor)
}

// diskFile only names the files of a disk.
func (l *lab) diskFile(dsPath string) (*disk, *fault) {
	_, file, f := l.resolve(dsPath)
	if f != nil {
		return nil, f
	}
	if !strings.HasSuffix(file, ".vmdk") || strings.HasSuffix(file, "-flat.vmdk") {
		return nil, refuse(&types.InvalidDatastorePath{DatastorePath: dsPath}, "Invalid datastore path '%s'.", dsPath)
	}
	var p object.DatastorePath
	p.FromString(dsPath)
	p.Path = strings.TrimPrefix(path.Clean("/"+p.Path), "/") // one spelling only: locks compare paths
	return &disk{path: p.String(), descriptor: file, data: flatName(file)}, nil
}

// readDisk opens an existing disk.
func (l *lab) readDisk(dsPath string) (*disk, *fault) {
	d, f := l.diskFile(dsPath)
	if f != nil {
		return nil, f
	}
	raw, err := os.ReadFile(d.descriptor)
	if err != nil || !exists(d.data) {
		return nil, missingFile(dsPath)
	}
	text := string(raw)
	extent, uuid := extentLine.FindStringSubmatch(text), uuidLine.FindStringSubmatch(text)
	if extent == nil || uuid == nil {
		return nil, refuse(&types.InvalidDiskFormat{}, "The file %s is not a virtual disk", dsPath)
	}
	sectors, _ := strconv.ParseInt(extent[1], 10, 64)
	d.size, d.uuid = sectors*512, gather(uuid[1])
	d.thin = strings.Contains(text, "ddb.thinProvisioned")
	d.eager = strings.Contains(text, "ddb.eagerlyScrub")
	if hint := hintLine.FindStringSubmatch(text); hint != nil {
		d.parent = hint[1]
	}
	return d, nil
}

// createDisk makes a new, empty disk of its full size, sparse whatever its format says.
func (l *lab) createDisk(d *disk) *fault {
	if !exists(path.Dir(d.descriptor)) {
		return missingFile(d.path)
	}
	if exists(d.descriptor) || exists(d.data) {
		return existingFile(d.path)
	}
	need := int64(thinRoom)
	if !d.thin {
		need = d.size
	}
	if f := l.room(d.path, need); f != nil {
		return f
	}
	file, err := os.OpenFile(d.data, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return l.writeFault(d.path, err)
	}
	err = file.Truncate(d.size)
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = d.write()
	}
	if err != nil {
		d.remove()
		return l.writeFault(d.path, err)
	}
	return nil
}

func (l *lab) writeFault(dsPath string, err error) *fault {
	if errors.Is(err, syscall.ENOSPC) {
		ds, _, _ := l.resolve(dsPath)
		return full(ds.Name, dsPath)
	}
	return fileFault(dsPath, err)
}

// createDelta makes a child that starts with the parent's content; the parent is not written any more.
func (l *lab) createDelta(parent *disk) (*disk, *fault) {
	child := *parent
	child.path = l.nextDelta(parent.path)
	child.parent, child.thin, child.eager = parent.path, true, false
	_, child.descriptor, _ = l.resolve(child.path)
	child.data = flatName(child.descriptor)
	if f := l.room(child.path, deltaRoom); f != nil {
		return nil, f
	}
	err := cloneFile(parent.data, child.data)
	if err == nil {
		err = child.write()
	}
	if err != nil {
		child.remove()
		return nil, l.writeFault(child.path, err)
	}
	return &child, nil
}

var deltaSuffix = regexp.MustCompile(`-\d{6}$`)

// nextDelta names the delta after the base disk with the first free number.
func (l *lab) nextDelta(dsPath string) string {
	_, file, _ := l.resolve(dsPath)
	stem := deltaSuffix.ReplaceAllString(strings.TrimSuffix(path.Base(file), ".vmdk"), "")
	for number := 1; ; number++ {
		name := fmt.Sprintf("%s-%06d.vmdk", stem, number)
		if !exists(path.Join(path.Dir(file), name)) {
			return inDirectory(dsPath, name)
		}
	}
}

func (d *disk) remove() {
	_ = os.Remove(d.descriptor)
	_ = os.Remove(d.data)
}

// absorb gives the disk its child's content and removes the child: what consolidation comes to.
func (d *disk) absorb(child *disk) *fault {
	if err := os.Rename(child.data, d.data); err != nil {
		return fileFault(d.path, err)
	}
	d.size = child.size
	if err := d.write(); err != nil {
		return fileFault(d.path, err)
	}
	_ = os.Remove(child.descriptor)
	return nil
}

// backing describes the disk, with the chain below it, as config.hardware.device shows it.
func (l *lab) backing(d *disk, mode string) (*types.VirtualDiskFlatVer2BackingInfo, *fault) {
	ds, _, f := l.resolve(d.path)
	if f != nil {
		return nil, f
	}
	if mode == "" {
		mode = string(types.VirtualDiskModePersistent)
	}
	info := &types.VirtualDiskFlatVer2BackingInfo{
		VirtualDeviceFileBackingInfo: types.VirtualDeviceFileBackingInfo{FileName: d.path, Datastore: &ds.Self},
		DiskMode:                     mode,
		Uuid:                         d.uuid,
		Split:                        types.NewBool(false),
		WriteThrough:                 types.NewBool(false),
		ThinProvisioned:              types.NewBool(d.thin),
		EagerlyScrub:                 types.NewBool(d.eager),
		DigestEnabled:                types.NewBool(false),
	}
	if d.parent == "" {
		return info, nil
	}
	below, f := l.readDisk(d.parent)
	if f != nil {
		return nil, f
	}
	info.DeltaDiskFormat = "redoLogFormat"
	info.Parent, f = l.backing(below, mode)
	return info, f
}
