/* Reading the files of a source: read. */

#include "batch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* O_NONBLOCK: a fifo that took the file's place must not hold us up. */
#define OPEN_OLD (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

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

PyObject *read_files(PyObject *module, PyObject *arguments)
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
