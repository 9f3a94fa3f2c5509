/* What the parts of the extension share.
 *
 * System calls for many small files at a time, without the interpreter's lock. Every function takes
 * plain cases only. What is not plain, errors included, it leaves to its caller, who deals with one file
 * at a time and knows all the rules. So nothing here decides anything, and nothing is reported.
 */

#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* The attributes of operations and items (wire.operations, wire.items). */
extern struct words {
    PyObject *item, *name, *mode, *uid, *gid, *mtime_ns, *size, *target, *xattrs, *atime_ns, *flags;
} words;

/* The characters of a name; NULL when it is no bytes or holds a zero byte. */
const char *text_of(PyObject *name);

/* The characters of a bytes attribute, which the object keeps alive; NULL likewise. */
const char *text_at(PyObject *object, PyObject *word);

/* An integer attribute; false when it does not fit. */
bool number_of(PyObject *object, PyObject *word, int64_t *number);

bool fits_nanoseconds(time_t seconds);
int64_t nanoseconds(struct timespec time);
struct timespec time_of(int64_t nanoseconds);

#define ATTRIBUTES 8 /* that a plain name has at most */

/* An extended attribute. */
struct attribute {
    const char *name, *value;
    Py_ssize_t size;
};

/* See batch.Native. */
PyObject *names(PyObject *module, PyObject *descriptor);
PyObject *look(PyObject *module, PyObject *arguments);
PyObject *facts(PyObject *module, PyObject *arguments);
PyObject *read_files(PyObject *module, PyObject *arguments);
PyObject *put_files(PyObject *module, PyObject *arguments);
