// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// Which bytes of files change: every range becomes a key of the hash map that is active, and user
// space swaps that map for an empty one when it wants to know. The license is what the kernel asks of
// programs that use its tracing helpers.
//
// Types are declared as far as they are used here; libbpf finds their fields in the running kernel.

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define PAGE_BITS 12 // of x86-64 and of arm64 as distributions build it; user space checks
#define CHUNK_PAGES 256
#define WORD_PAGES 64
#define WORDS (CHUNK_PAGES / WORD_PAGES)
#define TOLD 0x40 // in an order: what is written there later will be told, too
#define TAIL 0xff // an order: from the chunk to the end of the file; TOLD
#define MOST_ORDER 40
#define PIECES 5
#define COMMAND 16 // bytes of a process's name
#define KWORKER 0x72656b726f776bULL // "kworker", as a little-endian number
#define MOST_NANOSECONDS 0x3fffffff // above it the kernel keeps flags
#define UNKNOWN_FOLIO 512 // pages; no folio of the page cache is larger
#define ATTEMPTS 3
#define E2BIG 7

#define BTRFS 2 // a device's kind
#define BTRFS_FIRST_SUBVOLUME 256
#define BTRFS_TOP_SUBVOLUME 5

#define S_IFMT 00170000
#define S_IFREG 0100000

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct address_space;

struct super_block {
	__u32 s_dev;
};

struct inode {
	__u16 i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
	__u32 i_nlink;
	__u32 i_generation;
	long long i_size;
	struct address_space *i_mapping;
};

typedef struct {
	int counter;
} atomic_t;

struct inode___times { // from 6.11 on
	long long i_atime_sec;
	long long i_ctime_sec;
	__u32 i_atime_nsec;
	__u32 i_ctime_nsec;
};

struct address_space {
	struct inode *host;
	atomic_t i_mmap_writable;
};

typedef struct {
	unsigned long f;
} memdesc_flags_t;

struct folio {
	unsigned long index;
};

struct folio___flags_in_struct { // from 6.18 on
	memdesc_flags_t flags;
};

struct folio___flags {
	unsigned long flags;
};

struct folio___pages { // from 6.13 on
	unsigned int _nr_pages;
};

struct folio___older_pages {
	unsigned int _folio_nr_pages;
};

struct file {
	struct inode *f_inode;
};

struct kiocb {
	struct file *ki_filp;
	long long ki_pos;
};

struct iov_iter {
	_Bool data_source;
	unsigned long count;
};

struct btrfs_key {
	__u64 objectid;
};

struct btrfs_root {
	struct btrfs_key root_key;
};

struct btrfs_inode {
	struct btrfs_root *root;
	struct inode vfs_inode;
};

struct xfs_inode {
	struct inode i_vnode;
};

#pragma clang attribute pop

enum pageflags { PG_head };

struct key {
	__u64 inode;
	__u64 root;
	__u64 place; // chunk << 8 | order
	__u32 device;
	__u32 generation;
};

struct pages { // of a single chunk, which of its pages
	__u64 words[WORDS];
};

// A chunk is large, so that many writes all over a file share few elements, which stay in the caches of
// the processor.
struct ranges {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); // user space says how many
	__type(key, struct key);
	__type(value, struct pages);
} first SEC(".maps"), second SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct ranges);
} active SEC(".maps") = {.values = {&first}};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u32);
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} ignored SEC(".maps");

struct inodes {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); // user space says how many
	__type(key, __u64);
	__type(value, __u32);
} one SEC(".maps"), other SEC(".maps");

// Inodes with pages that were made dirty by write calls and marked only where these wrote: the first
// map is added to, the second is what it was before user space began to clean them.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct inodes);
} partly SEC(".maps") = {.values = {&one, &other}};

struct writing { // what this processor's task is writing to, in pages, on a device that is watched
	__u64 task;
	__u64 inode;
	__u64 first;
	__u64 end;
	__u32 device;
	__u32 kind;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct writing);
} writing SEC(".maps");

struct request { // of direct I/O; in pages
	struct key key;
	__u64 first;
	__u64 end;
	__u64 writes;
};

struct { // those under way, and those of which we were not told that they are done
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct request);
} requests SEC(".maps");

enum { FULL, BUSY };

struct { // how often a range found no room in the map, and how often its lock was not to be had
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

static __always_inline void lose(long error)
{
	__u32 why = error == -E2BIG ? FULL : BUSY;
	__u64 *count = bpf_map_lookup_elem(&lost, &why);

	if (count)
		__sync_fetch_and_add(count, 1);
}

// The pages from first on, before end, of a chunk; none is enough to have the key. An insertion fails when
// another CPU was quicker, when the map is full, and when a lock of the map is held for long: who holds it
// may be a processor that the hypervisor has put to sleep.
static __always_inline void put(void *map, struct key *key, __u32 first, __u32 end)
{
	struct pages *known = bpf_map_lookup_elem(map, key), none = {};
	long error = 0;

	for (int attempt = 0; attempt < ATTEMPTS && !known; attempt++) {
		error = bpf_map_update_elem(map, key, &none, BPF_NOEXIST);
		known = bpf_map_lookup_elem(map, key);
	}
	if (!known) {
		lose(error);
		return;
	}
#pragma unroll
	for (__u32 word = 0; word < WORDS; word++) {
		__u32 low = word * WORD_PAGES, high = low + WORD_PAGES;
		__u32 from = first > low ? first : low, to = end < high ? end : high;
		__u64 mask;

		if (from >= to)
			continue;
		mask = (~0ULL >> (WORD_PAGES - (to - from))) << (from - low);
		if ((known->words[word] & mask) != mask)
			__sync_fetch_and_or(&known->words[word], mask);
	}
}

static __always_inline __u64 subvolume(struct inode *inode)
{
	struct btrfs_inode *own;

	if (!bpf_core_type_exists(struct btrfs_inode))
		return 0;
	own = (void *)inode - bpf_core_field_offset(struct btrfs_inode, vfs_inode);
	return BPF_CORE_READ(own, root, root_key.objectid);
}

static __always_inline int is_ignored(void)
{
	__u32 process = bpf_get_current_pid_tgid() >> 32;

	return bpf_map_lookup_elem(&ignored, &process) != NULL;
}

static __always_inline __u32 kind_of(__u32 device)
{
	__u32 *kind = bpf_map_lookup_elem(&devices, &device);

	return kind ? *kind : 0;
}

// Fill in which file a key is about, on a device of a kind; false when the inode does not concern us.
static __always_inline int identify_on(__u32 device, __u32 kind, struct inode *inode, struct key *key)
{
	if (!kind || (inode->i_mode & S_IFMT) != S_IFREG)
		return 0;
	key->device = device;
	key->inode = inode->i_ino;
	key->generation = inode->i_generation;
	key->root = 0;
	if (kind == BTRFS) {
		key->root = subvolume(inode);
		if (key->root != BTRFS_TOP_SUBVOLUME && key->root < BTRFS_FIRST_SUBVOLUME)
			return 0; // btrfs keeps its own trees in inodes, too
	}
	return 1;
}

static __always_inline int identify(struct inode *inode, struct key *key)
{
	__u32 device = inode->i_sb->s_dev;

	return identify_on(device, kind_of(device), inode, key);
}

static __always_inline int concerns_us(struct inode *inode, struct key *key)
{
	// Removed, or without a name yet: who finds the name reads all of it.
	return identify(inode, key) && inode->i_nlink;
}

static __always_inline void *active_map(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&active, &zero);
}

// Pages from first on, before end. What a range has between its first chunk and its last is covered by up to
// five blocks of a power of two, aligned to their size, so that a large folio or request costs few entries.
static __always_inline void put_pages(struct key *key, __u64 first_page, __u64 end_page, __u32 told)
{
	__u64 chunk = first_page / CHUNK_PAGES, last = (end_page - 1) / CHUNK_PAGES;
	__u32 begins = first_page % CHUNK_PAGES, ends = (end_page - 1) % CHUNK_PAGES + 1;
	void *map = active_map();
	__u32 order = 0;

	if (!map || end_page <= first_page)
		return;
	key->place = chunk << 8 | told;
	put(map, key, begins, chunk == last ? ends : CHUNK_PAGES);
	if (chunk == last)
		return;
	key->place = last << 8 | told;
	put(map, key, 0, ends);
	if (++chunk == last)
		return;
	last--;
	for (; order < MOST_ORDER; order++)
		if ((last >> order) - (chunk >> order) < PIECES)
			break;
	chunk >>= order;
	last >>= order;
	for (__u32 piece = 0; piece < PIECES && chunk <= last; piece++, chunk++) {
		key->place = (chunk << order) << 8 | order | told;
		put(map, key, 0, CHUNK_PAGES);
	}
}

// All from a page on: what it was is elsewhere now, or gone.
static __always_inline void put_tail(struct key *key, __u64 first_page)
{
	__u64 chunk = first_page / CHUNK_PAGES;
	void *map = active_map();

	if (!map)
		return;
	if (first_page % CHUNK_PAGES) {
		key->place = chunk++ << 8 | TOLD;
		put(map, key, first_page % CHUNK_PAGES, CHUNK_PAGES);
	}
	key->place = chunk << 8 | TAIL;
	put(map, key, 0, 0);
}

static __always_inline int mark(struct inode *inode, __u64 first_page, __u64 end_page, __u32 told)
{
	struct key key = {};

	if (concerns_us(inode, &key) && !is_ignored())
		put_pages(&key, first_page, end_page, told);
	return 0;
}

static __always_inline int mark_bytes(struct inode *inode, __u64 offset, __u64 length)
{
	if (!length)
		return 0;
	return mark(inode, offset >> PAGE_BITS, ((offset + length - 1) >> PAGE_BITS) + 1, TOLD);
}

static __always_inline int is_mapped(struct address_space *mapping)
{
	return mapping->i_mmap_writable.counter > 0;
}

// A write call, of which the pages become dirty next, or which holds the inode until they are read. Of
// what nobody can store to but by such calls nothing else needs to be marked.
static __always_inline int written(struct inode *inode, __u64 offset, __u64 length)
{
	__u64 first = offset >> PAGE_BITS, end = ((offset + length - 1) >> PAGE_BITS) + 1;
	__u64 task = bpf_get_current_pid_tgid();
	__u32 zero = 0, device = inode->i_sb->s_dev;
	struct writing *here = bpf_map_lookup_elem(&writing, &zero);
	struct key key = {};

	if (!length || !here)
		return 0;
	if (here->task != task || here->device != device) { // mostly they are what they were
		__u32 kind = kind_of(device);

		if (!kind || is_ignored())
			return 0;
		here->task = task;
		here->device = device;
		here->kind = kind;
	}
	here->inode = (__u64)inode;
	here->first = first;
	here->end = end;
	if (identify_on(device, here->kind, inode, &key) && inode->i_nlink)
		put_pages(&key, first, end, is_mapped(inode->i_mapping) ? 0 : TOLD);
	return 0;
}

static __always_inline int is_writing(struct inode *inode, __u64 first, __u64 end)
{
	__u32 zero = 0;
	struct writing *here = bpf_map_lookup_elem(&writing, &zero);

	return here && here->inode == (__u64)inode && here->first < end && first < here->end &&
	       here->task == bpf_get_current_pid_tgid();
}

// Note that an inode has dirty pages that are not marked as a whole; false where there is no room.
static __always_inline int note_partly(struct inode *inode)
{
	__u64 key = (__u64)inode;
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&partly, &zero);

	return map && (bpf_map_lookup_elem(map, &key) || !bpf_map_update_elem(map, &key, &zero, BPF_ANY));
}

// Pages become accessible through a mapping. Stores into dirty ones are silent: so where not all of
// these was marked, it is now, in the largest folios that there may be.
static __always_inline int mapped(struct address_space *mapping, __u64 first, __u64 last)
{
	struct inode *inode = mapping->host;
	__u64 key = (__u64)inode;
	__u32 first_map = 0, second_map = 1;
	void *now = bpf_map_lookup_elem(&partly, &first_map);
	void *before = bpf_map_lookup_elem(&partly, &second_map);

	if (!is_mapped(mapping))
		return 0;
	if (!(now && bpf_map_lookup_elem(now, &key)) && !(before && bpf_map_lookup_elem(before, &key)))
		return 0;
	return mark(inode, first & ~(__u64)(UNKNOWN_FOLIO - 1), (last | (UNKNOWN_FOLIO - 1)) + 1, 0);
}

static __always_inline int mark_tail(struct inode *inode, __u64 offset)
{
	struct key key = {};

	if (concerns_us(inode, &key) && !is_ignored())
		put_tail(&key, offset >> PAGE_BITS);
	return 0;
}

// Whether an inode was read since anything else happened to it. Who set the time of access to one that is
// still to come did not read.
static __always_inline int was_read(struct inode *inode)
{
	struct inode___times *times = (void *)inode;
	__u32 changed;

	if (!bpf_core_field_exists(times->i_ctime_nsec))
		return 0;
	changed = times->i_ctime_nsec & MOST_NANOSECONDS;
	if (times->i_atime_sec < times->i_ctime_sec ||
	    (times->i_atime_sec == times->i_ctime_sec && times->i_atime_nsec <= changed))
		return 0;
	return times->i_atime_sec <= (long long)(bpf_ktime_get_tai_ns() / 1000000000);
}

// Something about a file changes, though perhaps no byte of it.
static __always_inline int touch(struct inode *inode)
{
	char command[COMMAND] __attribute__((aligned(8)));
	struct key key = {};
	void *map = active_map();

	bpf_get_current_comm(command, sizeof(command));
	if (*(__u64 *)command << 8 == KWORKER << 8) // writes back what was told when it was written
		return 0;
	if (map && concerns_us(inode, &key) && !is_ignored()) {
		key.place = TOLD;
		put(map, &key, 0, 0);
	}
	return 0;
}

static __always_inline __u64 folio_pages(struct folio *folio)
{
	struct folio___flags_in_struct *in_struct = (void *)folio;
	struct folio___flags *plain = (void *)folio;
	struct folio___pages *pages = (void *)folio;
	struct folio___older_pages *older = (void *)folio;
	unsigned long flags;

	if (bpf_core_field_exists(in_struct->flags.f))
		flags = in_struct->flags.f;
	else
		flags = plain->flags;
	if (!(flags >> bpf_core_enum_value(enum pageflags, PG_head) & 1))
		return 1;
	if (bpf_core_field_exists(pages->_nr_pages))
		return pages->_nr_pages;
	if (bpf_core_field_exists(older->_folio_nr_pages))
		return older->_folio_nr_pages;
	return UNKNOWN_FOLIO;
}

// A page of the cache becomes dirty: by a write call or by a store into a mapping. What is stored to it
// while it is dirty is not told: so all of the folio counts, unless there is no mapping.
SEC("tp_btf/writeback_dirty_folio")
int BPF_PROG(folio_dirtied, struct folio *folio, struct address_space *mapping)
{
	struct inode *inode;
	__u64 pages, start;
	__u32 device;

	if (!mapping)
		return 0;
	inode = mapping->host;
	device = inode->i_sb->s_dev;
	if (!bpf_map_lookup_elem(&devices, &device))
		return 0;
	pages = folio_pages(folio);
	start = folio->index;
	if (pages == UNKNOWN_FOLIO)
		start &= ~(__u64)(UNKNOWN_FOLIO - 1);
	// In this order: who maps it from now on finds it noted (file_faulted, file_mapped).
	if ((is_writing(inode, start, start + pages) || !inode->i_nlink) && note_partly(inode) &&
	    !is_mapped(mapping))
		return 0;
	return mark(inode, start, start + pages, 0);
}

// The write calls of ext4 tell of each folio when it has what is new, those of XFS begin under the
// inode's lock.

SEC("tp_btf/ext4_da_write_end")
int BPF_PROG(ext4_written_later, struct inode *inode, long long offset, unsigned int length, unsigned int done)
{
	return written(inode, offset, done);
}

SEC("tp_btf/ext4_write_end")
int BPF_PROG(ext4_written, struct inode *inode, long long offset, unsigned int length, unsigned int done)
{
	return written(inode, offset, done);
}

SEC("tp_btf/ext4_journalled_write_end")
int BPF_PROG(ext4_written_twice, struct inode *inode, long long offset, unsigned int length, unsigned int done)
{
	return written(inode, offset, done);
}

SEC("tp_btf/xfs_file_buffered_write")
int BPF_PROG(xfs_writes, struct kiocb *iocb, struct iov_iter *iter)
{
	return written(iocb->ki_filp->f_inode, iocb->ki_pos, iter->count);
}

SEC("tp_btf/mm_filemap_fault")
int BPF_PROG(file_faulted, struct address_space *mapping, unsigned long page)
{
	return mapped(mapping, page, page);
}

SEC("tp_btf/mm_filemap_map_pages")
int BPF_PROG(file_mapped, struct address_space *mapping, unsigned long first, unsigned long last)
{
	return mapped(mapping, first, last);
}

// The kernel tells the direction of direct I/O, and whose it is, only when it begins. And when one is done
// while a processor is busy with this program for another one, it does not run: so what a request is about
// is kept until it does. Where it did not, that is still there when the kernel uses the request again, or
// when user space looks.
SEC("tp_btf/iomap_dio_rw_begin")
int BPF_PROG(direct_begins, struct kiocb *iocb, struct iov_iter *iter)
{
	__u64 address = (__u64)iocb;
	struct request request = {}, *earlier = bpf_map_lookup_elem(&requests, &address);

	if (earlier && earlier->writes) {
		request = *earlier;
		put_pages(&request.key, request.first, request.end, TOLD);
	}
	if (!identify(iocb->ki_filp->f_inode, &request.key)) {
		if (earlier)
			bpf_map_delete_elem(&requests, &address);
		return 0;
	}
	request.first = (__u64)iocb->ki_pos >> PAGE_BITS;
	request.end = ((iocb->ki_pos + iter->count - 1) >> PAGE_BITS) + 1;
	request.writes = iter->data_source && iter->count && !is_ignored();
	if (bpf_map_update_elem(&requests, &address, &request, BPF_ANY) && request.writes)
		lose(-E2BIG);
	return 0;
}

// The position has moved behind what was done. What is not known to read is taken to have written. It may be
// anybody's processor time that this is done in.
SEC("tp_btf/iomap_dio_complete")
int BPF_PROG(direct_done, struct kiocb *iocb, int error, long done)
{
	__u64 address = (__u64)iocb;
	struct request *request = bpf_map_lookup_elem(&requests, &address);
	struct inode *inode = iocb->ki_filp->f_inode;
	struct key key = {};
	int writes = !request || request->writes;

	if (request)
		bpf_map_delete_elem(&requests, &address);
	if (!writes || !done || !concerns_us(inode, &key))
		return 0;
	if (done < 0) // after any part of it
		put_tail(&key, 0);
	else
		put_pages(&key, (iocb->ki_pos - done) >> PAGE_BITS, ((iocb->ki_pos - 1) >> PAGE_BITS) + 1, TOLD);
	return 0;
}

// The rest begin under the inode's lock: who wants to see what they do waits for that (settle).

SEC("tp_btf/ext4_punch_hole")
int BPF_PROG(ext4_punched, struct inode *inode, long long offset, long long length)
{
	return mark_bytes(inode, offset, length);
}

SEC("tp_btf/ext4_zero_range")
int BPF_PROG(ext4_zeroed, struct inode *inode, long long offset, long long length)
{
	return mark_bytes(inode, offset, length);
}

SEC("tp_btf/ext4_collapse_range")
int BPF_PROG(ext4_collapsed, struct inode *inode, long long offset)
{
	return mark_tail(inode, offset);
}

SEC("tp_btf/ext4_insert_range")
int BPF_PROG(ext4_inserted, struct inode *inode, long long offset)
{
	return mark_tail(inode, offset);
}

SEC("tp_btf/ext4_truncate_enter")
int BPF_PROG(ext4_truncated, struct inode *inode)
{
	return mark_tail(inode, inode->i_size);
}

SEC("tp_btf/xfs_free_file_space")
int BPF_PROG(xfs_freed, struct xfs_inode *inode)
{
	return mark_tail(&inode->i_vnode, 0);
}

SEC("tp_btf/xfs_collapse_file_space")
int BPF_PROG(xfs_collapsed, struct xfs_inode *inode)
{
	return mark_tail(&inode->i_vnode, 0);
}

SEC("tp_btf/xfs_insert_file_space")
int BPF_PROG(xfs_inserted, struct xfs_inode *inode)
{
	return mark_tail(&inode->i_vnode, 0);
}

SEC("tp_btf/xfs_itruncate_extents_start")
int BPF_PROG(xfs_truncated, struct xfs_inode *inode, long long size)
{
	return mark_tail(&inode->i_vnode, size);
}

SEC("tp_btf/xfs_reflink_remap_range")
int BPF_PROG(xfs_remapped, struct xfs_inode *from, long long from_offset, long long length,
	     struct xfs_inode *inode, long long offset)
{
	return mark_bytes(&inode->i_vnode, offset, length);
}

// What else changes an inode: its size, without a byte written; its times; flags.

SEC("tp_btf/ext4_mark_inode_dirty")
int BPF_PROG(ext4_touched, struct inode *inode)
{
	return was_read(inode) ? 0 : touch(inode);
}

SEC("tp_btf/xfs_setattr")
int BPF_PROG(xfs_attributes_set, struct xfs_inode *inode)
{
	return touch(&inode->i_vnode);
}

SEC("tp_btf/xfs_ioctl_setattr")
int BPF_PROG(xfs_flags_set, struct xfs_inode *inode)
{
	return touch(&inode->i_vnode);
}

SEC("tp_btf/xfs_alloc_file_space")
int BPF_PROG(xfs_allocated, struct xfs_inode *inode)
{
	return touch(&inode->i_vnode);
}

SEC("tp_btf/xfs_zero_file_space")
int BPF_PROG(xfs_zeroed, struct xfs_inode *inode)
{
	return touch(&inode->i_vnode);
}
