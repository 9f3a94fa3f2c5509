/* What is in a directory: names, look, facts. */

#include "batch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ROOM 1024 /* bytes of the names, and of the values, of all extended attributes of a name */
#define FACTS 9 /* 64-bit numbers that a name's state consists of */
#define LISTING 65536 /* bytes of a directory at a time */

/* Add the names that getdents64(2) gave. */
static bool add_names(PyObject *names, const char *from, ssize_t size)
{
    for (const char *end = from + size; from < end; from += ((const struct dirent64 *)from)->d_reclen) {
        const char *text = ((const struct dirent64 *)from)->d_name;
        if (!strcmp(text, ".") || !strcmp(text, ".."))
            continue;
        PyObject *name = PyBytes_FromString(text);
        bool added = name != NULL && PyList_Append(names, name) == 0;
        Py_XDECREF(name);
        if (!added)
            return false;
    }
    return true;
}

PyObject *names(PyObject *module, PyObject *descriptor)
{
    (void)module;
    _Alignas(struct dirent64) char entries[LISTING];
    long directory = PyLong_AsLong(descriptor);
    PyObject *found = PyErr_Occurred() ? NULL : PyList_New(0);
    ssize_t size = found == NULL ? 0 : 1;
    while (size > 0) {
        Py_BEGIN_ALLOW_THREADS
        size = syscall(SYS_getdents64, (int)directory, entries, sizeof entries);
        Py_END_ALLOW_THREADS
        if (size > 0 && !add_names(found, entries, size)) {
            Py_DECREF(found);
            return NULL;
        }
    }
    /* Whoever lists it next begins where we leave off. */
    if (found != NULL && (size < 0 || lseek((int)directory, 0, SEEK_SET) < 0)) {
        PyErr_SetFromErrno(PyExc_OSError);
        size = -1;
    }
    if (found != NULL && (size < 0 || PyList_Sort(found) < 0))
        Py_CLEAR(found);
    return found;
}

typedef struct {
    int count;
    struct attribute all[ATTRIBUTES];
    char names[ROOM], values[ROOM];
} Attributes;

typedef struct {
    const char *name;
    struct stat status;
    char *target;
    Attributes *attributes;
    bool found, plain;
} Seen;

static void note_facts(const struct stat *status, int64_t *facts)
{
    facts[0] = nanoseconds(status->st_ctim);
    facts[1] = nanoseconds(status->st_mtim);
    facts[2] = (int64_t)status->st_ino;
    facts[3] = status->st_size;
    facts[4] = status->st_mode;
    facts[5] = status->st_uid;
    facts[6] = status->st_gid;
    facts[7] = (int64_t)status->st_nlink;
    facts[8] = (int64_t)status->st_rdev;
}

/* The second names that XFS shows ACLs by (wire.items.HIDDEN_XATTRS). */
#define XFS_ACL "trusted.SGI_ACL_"

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct attribute *)a)->name, ((const struct attribute *)b)->name);
}

/* Read the attributes whose names, in so many bytes, are there already. */
static bool read_values(const char *path, const char *own, Attributes *attributes, ssize_t names)
{
    Py_ssize_t used = 0;
    for (ssize_t at = 0; at < names; at += strlen(attributes->names + at) + 1) {
        if (!strncmp(attributes->names + at, XFS_ACL, strlen(XFS_ACL)))
            continue;
        if (attributes->count == ATTRIBUTES || !strncmp(attributes->names + at, own, strlen(own)))
            return false;
        struct attribute *one = &attributes->all[attributes->count++];
        *one = (struct attribute){attributes->names + at, attributes->values + used, 0};
        one->size = used < ROOM ? lgetxattr(path, one->name, attributes->values + used, ROOM - used) : -1;
        if (one->size < 0)
            return false;
        used += one->size;
    }
    qsort(attributes->all, attributes->count, sizeof *attributes->all, by_name);
    return true;
}

/* Few and small extended attributes; false when there are others, or ``own`` ones. */
static bool read_attributes(const char *prefix, const char *own, Seen *seen)
{
    char path[PATH_MAX], names[ROOM];
    if ((size_t)snprintf(path, sizeof path, "%s%s", prefix, seen->name) >= sizeof path)
        return false;
    ssize_t size = llistxattr(path, names, sizeof names);
    if (size <= 0)
        return size == 0 || errno == ENOTSUP || errno == ENOSYS;
    if ((seen->attributes = malloc(sizeof *seen->attributes)) == NULL)
        return false;
    seen->attributes->count = 0;
    memcpy(seen->attributes->names, names, size);
    return read_values(path, own, seen->attributes, size);
}

static bool read_link(int directory, Seen *seen)
{
    char text[PATH_MAX];
    ssize_t length = readlinkat(directory, seen->name, text, sizeof text);
    if (length <= 0 || length >= (ssize_t)sizeof text)
        return false;
    seen->target = strndup(text, (size_t)length);
    return seen->target != NULL;
}

static bool look_at(int directory, Seen *seen)
{
    seen->found = fstatat(directory, seen->name, &seen->status, AT_SYMLINK_NOFOLLOW) == 0;
    return seen->found;
}

/* Files and symlinks are plain. */
static bool is_plain(int directory, const char *prefix, const char *own, Seen *seen)
{
    const struct stat *status = &seen->status;
    bool link = S_ISLNK(status->st_mode);
    return (link || S_ISREG(status->st_mode)) && fits_nanoseconds(status->st_mtim.tv_sec)
        && (!link || read_link(directory, seen)) && (own == NULL || read_attributes(prefix, own, seen));
}

/* The attributes as an item has them. */
static PyObject *pairs_of(const Attributes *attributes)
{
    PyObject *pairs = PyTuple_New(attributes == NULL ? 0 : attributes->count);
    for (Py_ssize_t i = 0; pairs != NULL && i < PyTuple_Size(pairs); i++) {
        const struct attribute *one = &attributes->all[i];
        PyObject *pair = Py_BuildValue("(yy#)", one->name, one->value, one->size);
        if (pair == NULL)
            Py_CLEAR(pairs);
        else
            PyTuple_SetItem(pairs, i, pair);
    }
    return pairs;
}

/* The item of a plain name, None of any other. */
static PyObject *item_of(PyObject *class, PyObject *name, const Seen *seen)
{
    if (!seen->plain)
        return Py_NewRef(Py_None);
    const struct stat *status = &seen->status;
    unsigned mode = status->st_mode, uid = status->st_uid, gid = status->st_gid;
    long long mtime = nanoseconds(status->st_mtim), size = S_ISREG(mode) ? status->st_size : 0;
    unsigned long long link = status->st_nlink > 1 ? status->st_ino : 0;
    if (seen->target || seen->attributes)
        return PyObject_CallFunction(
            class, "OIIILLKiyN", name, mode, uid, gid, mtime, size, link, 0,
            seen->target ? seen->target : "", pairs_of(seen->attributes));
    if (link)
        return PyObject_CallFunction(class, "OIIILLK", name, mode, uid, gid, mtime, size, link);
    return PyObject_CallFunction(class, "OIIILL", name, mode, uid, gid, mtime, size);
}

static void forget(const Seen *seen)
{
    free(seen->target);
    free(seen->attributes);
}

/* The names of a list as Seen; NULL with an exception. */
static Seen *seen_of(PyObject *names, Py_ssize_t count)
{
    Seen *seen = calloc((size_t)count + 1, sizeof *seen);
    if (seen == NULL)
        return (Seen *)PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count; i++) {
        seen[i].name = text_of(PyList_GetItem(names, i));
        if (seen[i].name == NULL) {
            free(seen);
            PyErr_SetString(PyExc_ValueError, "a name is no bytes, or holds a zero byte");
            return NULL;
        }
    }
    return seen;
}

/* The facts about all names and the latest change of any; nothing and 0 when one was not found. */
static PyObject *facts_of(const Seen *seen, Py_ssize_t count, int64_t *latest)
{
    *latest = 0;
    for (Py_ssize_t i = 0; i < count; i++)
        if (!seen[i].found)
            return PyBytes_FromStringAndSize(NULL, 0);
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, count * FACTS * (Py_ssize_t)sizeof(int64_t));
    char *to = bytes == NULL ? NULL : PyBytes_AsString(bytes);
    for (Py_ssize_t i = 0; to != NULL && i < count; i++, to += FACTS * sizeof(int64_t)) {
        int64_t facts[FACTS];
        note_facts(&seen[i].status, facts);
        memcpy(to, facts, sizeof facts);
        if (i == 0 || facts[0] > *latest)
            *latest = facts[0];
    }
    return bytes;
}

/* The items of all names; ``rest`` gets the numbers of those that have none. */
static PyObject *items_of(PyObject *class, PyObject *names, const Seen *seen, Py_ssize_t count, PyObject *rest)
{
    PyObject *items = PyList_New(count);
    for (Py_ssize_t i = 0; items != NULL && i < count; i++) {
        PyObject *item = item_of(class, PyList_GetItem(names, i), &seen[i]);
        PyObject *number = item == Py_None ? PyLong_FromSsize_t(i) : NULL;
        if (item == NULL || (item == Py_None && (number == NULL || PyList_Append(rest, number) < 0)))
            Py_CLEAR(items);
        else
            PyList_SetItem(items, i, Py_NewRef(item));
        Py_XDECREF(number);
        Py_XDECREF(item);
    }
    return items;
}

PyObject *look(PyObject *module, PyObject *arguments)
{
    (void)module;
    int directory;
    const char *prefix, *own; /* z# takes bytes or None, with a length that says nothing new */
    Py_ssize_t length;
    int64_t latest;
    PyObject *names, *class, *items = NULL, *facts = NULL, *rest = PyList_New(0);
    if (rest == NULL
        || !PyArg_ParseTuple(arguments, "iyO!z#O", &directory, &prefix, &PyList_Type, &names, &own, &length, &class))
        goto end;
    Py_ssize_t count = PyList_Size(names);
    if ((names = PyList_GetSlice(names, 0, count)) == NULL) /* ours alone while the lock is away */
        goto end;
    Seen *seen = seen_of(names, count);
    if (seen != NULL) {
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t i = 0; i < count; i++)
            seen[i].plain = look_at(directory, &seen[i]) && is_plain(directory, prefix, own, &seen[i]);
        Py_END_ALLOW_THREADS
        facts = facts_of(seen, count, &latest);
        items = facts == NULL ? NULL : items_of(class, names, seen, count, rest);
        for (Py_ssize_t i = 0; i < count; i++)
            forget(&seen[i]);
        free(seen);
    }
    Py_DECREF(names);
    if (items != NULL)
        return Py_BuildValue("NNNL", items, rest, facts, (long long)latest);
end:
    Py_XDECREF(rest);
    Py_XDECREF(facts);
    return NULL;
}

/* The names of directories on the device. */
static PyObject *directories_of(PyObject *names, const Seen *seen, Py_ssize_t count, dev_t device)
{
    PyObject *found = PyList_New(0);
    for (Py_ssize_t i = 0; found != NULL && i < count; i++)
        if (S_ISDIR(seen[i].status.st_mode) && seen[i].status.st_dev == device)
            if (PyList_Append(found, PyList_GetItem(names, i)) < 0)
                Py_CLEAR(found);
    return found;
}

PyObject *facts(PyObject *module, PyObject *arguments)
{
    (void)module;
    int directory;
    unsigned long long device;
    int64_t latest;
    PyObject *names, *all = NULL, *below = NULL;
    if (!PyArg_ParseTuple(arguments, "iO!K", &directory, &PyList_Type, &names, &device))
        return NULL;
    Py_ssize_t count = PyList_Size(names), found = 0;
    if ((names = PyList_GetSlice(names, 0, count)) == NULL)
        return NULL;
    Seen *seen = seen_of(names, count);
    if (seen != NULL) {
        Py_BEGIN_ALLOW_THREADS
        while (found < count && look_at(directory, &seen[found]))
            found++;
        Py_END_ALLOW_THREADS
        all = facts_of(seen, count, &latest);
        below = all == NULL ? NULL : directories_of(names, seen, found, (dev_t)device);
        free(seen);
    }
    Py_DECREF(names);
    if (below != NULL)
        return Py_BuildValue("NLN", all, (long long)latest, below);
    Py_XDECREF(all);
    return NULL;
}
