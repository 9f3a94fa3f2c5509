/* The module, and how it takes values from Python. */

#include "batch.h"

#define SECOND 1000000000LL

struct words words;

const char *text_of(PyObject *name)
{
    char *text;
    /* Without a length the function refuses zero bytes. */
    if (PyBytes_AsStringAndSize(name, &text, NULL) == 0)
        return text;
    PyErr_Clear();
    return NULL;
}

bool number_of(PyObject *object, PyObject *word, int64_t *number)
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

const char *text_at(PyObject *object, PyObject *word)
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

int64_t nanoseconds(struct timespec time)
{
    return (int64_t)((uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec);
}

struct timespec time_of(int64_t nanoseconds)
{
    int64_t rest = nanoseconds % SECOND;
    if (rest < 0)
        rest += SECOND;
    return (struct timespec){.tv_sec = (nanoseconds - rest) / SECOND, .tv_nsec = rest};
}

bool fits_nanoseconds(time_t seconds)
{
    return seconds < INT64_MAX / SECOND && seconds > INT64_MIN / SECOND;
}

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
