/* Making the files of a target: put. */

#include "batch.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define OPEN_NEW (O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)
#define MOST 1024 /* files made by one call */

typedef struct {
    const char *name, *target; /* a symlink has a target */
    int64_t mode, uid, gid, mtime, size, atime;
    int count;
    struct attribute *attributes;
} New;

/* Extended attributes that dtesx itself keeps (wire.items.OWN_XATTRS); no source may set them. */
#define OWN "trusted.dtesx."

static bool good_name(const char *name, const char *reserved)
{
    return name != NULL && *name && strlen(name) <= NAME_MAX && strcmp(name, ".") && strcmp(name, "..")
        && strchr(name, '/') == NULL && strncmp(name, reserved, strlen(reserved));
}

static bool is_id(int64_t number)
{
    return number >= 0 && number < UINT32_MAX;
}

static bool new_attribute(PyObject *pair, struct attribute *one)
{
    char *value;
    if (!PyTuple_Check(pair) || PyTuple_Size(pair) != 2
        || (one->name = text_of(PyTuple_GetItem(pair, 0))) == NULL || !strncmp(one->name, OWN, strlen(OWN))
        || PyBytes_AsStringAndSize(PyTuple_GetItem(pair, 1), &value, &one->size) < 0)
        return false;
    one->value = value;
    return true;
}

/* Extended attributes, if they are few. */
static bool new_attributes(PyObject *xattrs, New *made)
{
    Py_ssize_t count = xattrs != NULL && PyTuple_Check(xattrs) ? PyTuple_Size(xattrs) : -1;
    if (count <= 0 || count > ATTRIBUTES)
        return count == 0;
    if ((made->attributes = calloc((size_t)count, sizeof *made->attributes)) == NULL)
        return false;
    while (made->count < count && new_attribute(PyTuple_GetItem(xattrs, made->count), &made->attributes[made->count]))
        made->count++;
    return made->count == count;
}

/* What files and symlinks have in common. */
static bool new_item(PyObject *item, const char *reserved, New *made)
{
    PyObject *xattrs = PyObject_GetAttr(item, words.xattrs);
    bool plain = new_attributes(xattrs, made) && good_name(made->name = text_at(item, words.name), reserved)
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
    return S_ISLNK(link->mode) && !link->count && link->target != NULL && *link->target;
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

static bool set_attributes(int fd, const New *file)
{
    for (int i = 0; i < file->count; i++) {
        const struct attribute *one = &file->attributes[i];
        if (fsetxattr(fd, one->name, one->value, (size_t)one->size, 0) < 0)
            return false;
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
        && set_attributes(fd, file) && futimens(fd, times) == 0;
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

PyObject *put_files(PyObject *module, PyObject *arguments)
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
    for (Py_ssize_t i = 0; files != NULL && i < given; i++)
        free(files[i].attributes);
    free(files);
    Py_XDECREF(some);
    PyBuffer_Release(&content);
    if (some == NULL)
        return NULL;
    return Py_BuildValue("nn", done, at);
}
