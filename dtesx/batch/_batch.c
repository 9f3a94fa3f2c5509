/* System calls for many small files at a time, without the interpreter's lock.
 *
 * Every function takes plain cases only. What is not plain, errors included, it leaves to its caller, who deals
 * with one file at a time and knows all the rules. So nothing here decides anything, and nothing is reported.
 */

#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SECOND 1000000000LL
/* O_NONBLOCK: a fifo that took the file's place must not hold us up. */
#define OPEN_OLD (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
#define OPEN_NEW (O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)
#define FACTS 9 /* 64-bit numbers that a name's state consists of */
#define LISTING 65536 /* bytes of a directory at a time */
#define MOST 1024 /* files made by one call */

static struct {
    PyObject *item, *name, *mode, *uid, *gid, *mtime_ns, *size, *target, *xattrs, *atime_ns, *flags;
} words;

/* ---- From and to Python ---- */

/* The characters of a name; NULL when it is no bytes or holds a zero byte. */
static const char *text_of(PyObject *name)
{
    char *text;
    /* Without a length the function refuses zero bytes. */
    if (PyBytes_AsStringAndSize(name, &text, NULL) == 0)
        return text;
    PyErr_Clear();
    return NULL;
}

/* An integer attribute; false when it does not fit. */
static bool number_of(PyObject *object, PyObject *word, int64_t *number)
{
    PyObject *value = PyObject_GetAttr(object, word);
    *number = value == NULL ? -1 : PyLong_AsLongLong(value);
    Py_XDECREF(value);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return false;
    }
    return true;
}

/* The characters of a bytes attribute, which the object keeps alive. */
static const char *text_at(PyObject *object, PyObject *word)
{
    PyObject *value = PyObject_GetAttr(object, word);
    if (value == NULL) {
        PyErr_Clear();
        return NULL;
    }
    const char *text = text_of(value);
    Py_DECREF(value);
    return text;
}

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)((uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec);
}

static struct timespec time_of(int64_t nanoseconds)
{
    int64_t rest = nanoseconds % SECOND;
    if (rest < 0)
        rest += SECOND;
    return (struct timespec){.tv_sec = (nanoseconds - rest) / SECOND, .tv_nsec = rest};
}

static bool fits_nanoseconds(time_t seconds)
{
    return seconds < INT64_MAX / SECOND && seconds > INT64_MIN / SECOND;
}

/* ---- What is there: names, look, facts ---- */

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

static PyObject *names(PyObject *module, PyObject *descriptor)
{
    (void)module;
    _Alignas(struct dirent64) char entries[LISTING];
    long directory = PyLong_AsLong(descriptor);
    PyObject *found = PyErr_Occurred() ? NULL : PyList_New(0);
    ssize_t size = found == NULL ? 0 : lseek((int)directory, 0, SEEK_SET) < 0 ? -1 : 1;
    while (size > 0) {
        Py_BEGIN_ALLOW_THREADS
        size = syscall(SYS_getdents64, (int)directory, entries, sizeof entries);
        Py_END_ALLOW_THREADS
        if (size > 0 && !add_names(found, entries, size))
            Py_CLEAR(found);
        if (found == NULL)
            return NULL;
    }
    if (size < 0)
        PyErr_SetFromErrno(PyExc_OSError);
    if (found != NULL && (size < 0 || PyList_Sort(found) < 0))
        Py_CLEAR(found);
    return found;
}

typedef struct {
    const char *name;
    struct stat status;
    char *target;
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

static bool has_attributes(const char *prefix, const char *name)
{
    char path[PATH_MAX];
    if (*prefix) {
        if ((size_t)snprintf(path, sizeof path, "%s%s", prefix, name) >= sizeof path)
            return true;
        name = path;
    }
    ssize_t size = llistxattr(name, NULL, 0);
    return size > 0 || (size < 0 && errno != ENOTSUP && errno != ENOSYS);
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

/* Files and symlinks are plain, without extended attributes. */
static bool is_plain(int directory, const char *prefix, bool xattrs, Seen *seen)
{
    const struct stat *status = &seen->status;
    bool link = S_ISLNK(status->st_mode);
    return (link || S_ISREG(status->st_mode)) && fits_nanoseconds(status->st_mtim.tv_sec)
        && (!link || read_link(directory, seen)) && !(xattrs && has_attributes(prefix, seen->name));
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
    if (seen->target)
        return PyObject_CallFunction(
            class, "OIIILLKiy", name, mode, uid, gid, mtime, size, link, 0, seen->target);
    if (link)
        return PyObject_CallFunction(class, "OIIILLK", name, mode, uid, gid, mtime, size, link);
    return PyObject_CallFunction(class, "OIIILL", name, mode, uid, gid, mtime, size);
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

static PyObject *look(PyObject *module, PyObject *arguments)
{
    (void)module;
    int directory, xattrs;
    const char *prefix;
    int64_t latest;
    PyObject *names, *class, *items = NULL, *facts = NULL, *rest = PyList_New(0);
    if (rest == NULL
        || !PyArg_ParseTuple(arguments, "iyO!pO", &directory, &prefix, &PyList_Type, &names, &xattrs, &class))
        goto end;
    Py_ssize_t count = PyList_Size(names);
    if ((names = PyList_GetSlice(names, 0, count)) == NULL) /* ours alone while the lock is away */
        goto end;
    Seen *seen = seen_of(names, count);
    if (seen != NULL) {
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t i = 0; i < count; i++)
            seen[i].plain = look_at(directory, &seen[i]) && is_plain(directory, prefix, xattrs, &seen[i]);
        Py_END_ALLOW_THREADS
        facts = facts_of(seen, count, &latest);
        items = facts == NULL ? NULL : items_of(class, names, seen, count, rest);
        for (Py_ssize_t i = 0; i < count; i++)
            free(seen[i].target);
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

static PyObject *facts(PyObject *module, PyObject *arguments)
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

/* ---- Reading the files of a source ---- */

typedef struct {
    const char *name;
    int64_t mode, uid, gid, mtime, size, atime;
    unsigned flags;
    bool plain;
} Wanted;

static bool as_wanted(const struct stat *status, const Wanted *file)
{
    return status->st_mode == file->mode && status->st_uid == file->uid && status->st_gid == file->gid
        && status->st_size == file->size && fits_nanoseconds(status->st_mtim.tv_sec)
        && nanoseconds(status->st_mtim) == file->mtime;
}

static bool read_flags(int fd, unsigned *flags)
{
    long all = 0; /* the kernel writes an int, some file systems more */
    if (ioctl(fd, FS_IOC_GETFLAGS, &all) == 0) {
        memcpy(flags, &all, sizeof *flags);
        return true;
    }
    *flags = 0;
    return errno == ENOTTY || errno == ENOTSUP || errno == EINVAL || errno == ENOSYS;
}

static bool read_file(int directory, Wanted *file, int64_t dense, char *to)
{
    int fd = openat(directory, file->name, OPEN_OLD);
    if (fd < 0)
        return false;
    struct stat status;
    bool well = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && as_wanted(&status, file)
        && (status.st_size <= dense || status.st_blocks * 512 >= status.st_size)
        && read_flags(fd, &file->flags);
    for (int64_t done = 0; well && done < file->size;) {
        ssize_t part = read(fd, to + done, (size_t)(file->size - done));
        well = part > 0;
        done += part;
    }
    if (well)
        file->atime = nanoseconds(status.st_atim);
    close(fd);
    return well;
}

static bool want(PyObject *item, Wanted *file)
{
    file->name = text_at(item, words.name);
    return file->name != NULL && number_of(item, words.mode, &file->mode)
        && number_of(item, words.uid, &file->uid) && number_of(item, words.gid, &file->gid)
        && number_of(item, words.mtime_ns, &file->mtime) && number_of(item, words.size, &file->size)
        && file->size >= 0 && file->size <= INT_MAX;
}

static PyObject *puts_of(PyObject *class, PyObject *items, const Wanted *files, Py_ssize_t count)
{
    PyObject *puts = PyList_New(count);
    for (Py_ssize_t i = 0; puts != NULL && i < count; i++) {
        PyObject *put = Py_None;
        if (files[i].plain)
            put = PyObject_CallFunction(
                class, "OLI", PyList_GetItem(items, i), (long long)files[i].atime, files[i].flags);
        else
            Py_INCREF(put);
        if (put == NULL)
            Py_CLEAR(puts);
        else
            PyList_SetItem(puts, i, put);
    }
    return puts;
}

/* Read what is plain; returns how many bytes that is. */
static int64_t read_all(int directory, Wanted *files, Py_ssize_t count, int64_t dense, char *to)
{
    int64_t used = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        files[i].plain = files[i].plain && read_file(directory, &files[i], dense, to + used);
        used += files[i].plain ? files[i].size : 0;
    }
    return used;
}

static PyObject *read_files(PyObject *module, PyObject *arguments)
{
    (void)module;
    int directory;
    long long dense;
    PyObject *items, *class, *puts = NULL, *content = NULL;
    if (!PyArg_ParseTuple(arguments, "iO!LO", &directory, &PyList_Type, &items, &dense, &class))
        return NULL;
    Py_ssize_t count = PyList_Size(items);
    int64_t room = 0, used;
    Wanted *files = calloc((size_t)count + 1, sizeof *files);
    if (files == NULL)
        return PyErr_NoMemory();
    if ((items = PyList_GetSlice(items, 0, count)) == NULL)
        goto end;
    for (Py_ssize_t i = 0; i < count; i++)
        if ((files[i].plain = want(PyList_GetItem(items, i), &files[i])))
            room += files[i].size;
    if ((content = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)room)) == NULL)
        goto end;
    char *to = PyBytes_AsString(content);
    Py_BEGIN_ALLOW_THREADS
    used = read_all(directory, files, count, dense, to);
    Py_END_ALLOW_THREADS
    puts = puts_of(class, items, files, count);
    if (used < room) {
        PyObject *shorter = PyBytes_FromStringAndSize(to, (Py_ssize_t)used);
        Py_DECREF(content);
        content = shorter;
    }
end:
    free(files);
    Py_XDECREF(items);
    if (puts != NULL && content != NULL)
        return Py_BuildValue("NN", puts, content);
    Py_XDECREF(puts);
    Py_XDECREF(content);
    return NULL;
}

/* ---- Making the files of a target ---- */

typedef struct {
    const char *name, *target; /* a symlink has a target */
    int64_t mode, uid, gid, mtime, size, atime;
} New;

static bool good_name(const char *name, const char *reserved)
{
    return name != NULL && *name && strlen(name) <= NAME_MAX && strcmp(name, ".") && strcmp(name, "..")
        && strchr(name, '/') == NULL && strncmp(name, reserved, strlen(reserved));
}

static bool is_id(int64_t number)
{
    return number >= 0 && number < UINT32_MAX;
}

/* What files and symlinks have in common. */
static bool new_item(PyObject *item, const char *reserved, New *made)
{
    PyObject *xattrs = PyObject_GetAttr(item, words.xattrs);
    bool plain = xattrs != NULL && PyObject_Size(xattrs) == 0
        && good_name(made->name = text_at(item, words.name), reserved)
        && number_of(item, words.mode, &made->mode) && made->mode == (made->mode & (S_IFMT | 07777))
        && number_of(item, words.uid, &made->uid) && is_id(made->uid)
        && number_of(item, words.gid, &made->gid) && is_id(made->gid)
        && number_of(item, words.mtime_ns, &made->mtime);
    PyErr_Clear();
    Py_XDECREF(xattrs);
    return plain;
}

static bool new_file(PyObject *put, PyObject *item, int64_t settable, New *file)
{
    int64_t flags;
    return S_ISREG(file->mode) && number_of(item, words.size, &file->size) && file->size >= 0
        && number_of(put, words.flags, &flags) && (flags < 0 || !(flags & settable))
        && number_of(put, words.atime_ns, &file->atime);
}

static bool new_link(PyObject *item, New *link)
{
    link->atime = link->mtime;
    link->target = text_at(item, words.target);
    return S_ISLNK(link->mode) && link->target != NULL && *link->target;
}

/* Whether an operation makes a plain file or a symlink; then ``made`` says which. */
static bool new_of(PyObject *operation, PyObject *const *classes, int64_t settable, const char *reserved, New *made)
{
    PyObject *class = (PyObject *)Py_TYPE(operation);
    if (class != classes[0] && class != classes[1])
        return false;
    PyObject *item = PyObject_GetAttr(operation, words.item);
    bool plain = item != NULL && new_item(item, reserved, made)
        && (class == classes[0] ? new_file(operation, item, settable, made) : new_link(item, made));
    PyErr_Clear();
    Py_XDECREF(item);
    return plain;
}

static bool write_all(int fd, const char *from, int64_t size)
{
    while (size > 0) {
        ssize_t part = write(fd, from, (size_t)size);
        if (part <= 0)
            return false;
        from += part;
        size -= part;
    }
    return true;
}

static bool make_file(int directory, const New *file, const char *from, uid_t uid, gid_t gid)
{
    int fd = openat(directory, file->name, OPEN_NEW, (mode_t)(file->mode & 0777));
    if (fd < 0)
        return false;
    const struct timespec times[2] = {time_of(file->atime), time_of(file->mtime)};
    bool well = write_all(fd, from, file->size)
        && ((file->uid == uid && file->gid == gid) || fchown(fd, (uid_t)file->uid, (gid_t)file->gid) == 0)
        && (!(file->mode & 07000) || fchmod(fd, (mode_t)(file->mode & 07777)) == 0)
        && futimens(fd, times) == 0;
    well = close(fd) == 0 && well;
    if (!well)
        unlinkat(directory, file->name, 0);
    return well;
}

static bool make_link(int directory, const New *link, uid_t uid, gid_t gid)
{
    const struct timespec times[2] = {time_of(link->atime), time_of(link->mtime)};
    if (symlinkat(link->target, directory, link->name) < 0)
        return false;
    bool owned = link->uid == uid && link->gid == gid;
    if ((owned || fchownat(directory, link->name, (uid_t)link->uid, (gid_t)link->gid, AT_SYMLINK_NOFOLLOW) == 0)
        && utimensat(directory, link->name, times, AT_SYMLINK_NOFOLLOW) == 0)
        return true;
    unlinkat(directory, link->name, 0);
    return false;
}

static bool make(int directory, const New *new, const char *from, uid_t uid, gid_t gid)
{
    return new->target ? make_link(directory, new, uid, gid) : make_file(directory, new, from, uid, gid);
}

static PyObject *put_files(PyObject *module, PyObject *arguments)
{
    (void)module;
    int directory;
    Py_ssize_t start, at;
    unsigned uid, gid;
    long long settable;
    const char *reserved;
    PyObject *operations, *classes[2];
    Py_buffer content;
    if (!PyArg_ParseTuple(
            arguments, "iO!nOOy*nIILy", &directory, &PyList_Type, &operations, &start, &classes[0], &classes[1],
            &content, &at, &uid, &gid, &settable, &reserved))
        return NULL;
    if (at < 0 || at > content.len) {
        PyErr_SetString(PyExc_ValueError, "contents begin beyond what there is");
        PyBuffer_Release(&content);
        return NULL;
    }
    PyObject *some = PyList_GetSlice(operations, start, start + MOST);
    Py_ssize_t count = 0, done = 0, given = some == NULL ? 0 : PyList_Size(some);
    int64_t end = at;
    New *files = calloc((size_t)given + 1, sizeof *files);
    while (files != NULL && count < given
           && new_of(PyList_GetItem(some, count), classes, settable, reserved, &files[count])
           && files[count].size <= content.len - end)
        end += files[count++].size;
    Py_BEGIN_ALLOW_THREADS
    while (done < count && make(directory, &files[done], (char *)content.buf + at, uid, gid))
        at += files[done++].size;
    Py_END_ALLOW_THREADS
    free(files);
    Py_XDECREF(some);
    PyBuffer_Release(&content);
    if (some == NULL)
        return NULL;
    return Py_BuildValue("nn", done, at);
}

/* ---- A buffer ---- */

static PyObject *room(PyObject *module, PyObject *size)
{
    (void)module;
    Py_ssize_t bytes = PyLong_AsSsize_t(size);
    if (bytes < 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "a buffer of less than nothing");
        return NULL;
    }
    return PyByteArray_FromStringAndSize(NULL, bytes);
}

/* ---- The module ---- */

static PyMethodDef methods[] = {
    {"names", names, METH_O, NULL},
    {"look", look, METH_VARARGS, NULL},
    {"facts", facts, METH_VARARGS, NULL},
    {"read", read_files, METH_VARARGS, NULL},
    {"put", put_files, METH_VARARGS, NULL},
    {"room", room, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static int prepare(PyObject *module)
{
    (void)module;
    struct {
        PyObject **word;
        const char *text;
    } all[] = {
        {&words.item, "item"}, {&words.name, "name"}, {&words.mode, "mode"}, {&words.uid, "uid"},
        {&words.gid, "gid"}, {&words.mtime_ns, "mtime_ns"}, {&words.size, "size"},
        {&words.target, "target"}, {&words.xattrs, "xattrs"}, {&words.atime_ns, "atime_ns"}, {&words.flags, "flags"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if ((*all[i].word = PyUnicode_InternFromString(all[i].text)) == NULL)
            return -1;
    return 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, prepare}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_batch", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC PyInit__batch(void)
{
    return PyModuleDef_Init(&definition);
}
