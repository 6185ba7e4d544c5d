/* What clients are told of groups that may still be at a source (docs/protocols.md, fulva).
 *
 * `moving_told[g]` is a bytearray of the NM_MOVING_LENGTH bytes that a reply about group g ends with;
 * the groups of one range share one, and Python writes into it as the range shrinks. A hint: if it is
 * old it costs time, never consistency. */
#include "core.h"

#include <string.h>

/* Tells of the groups from `first` to `last` what `told` says; None: that nothing is on the move. */
int moving_tell(Core *core, unsigned first, unsigned last, PyObject *told) {
    if (last >= NM_GROUPS || first > last) {
        PyErr_SetString(PyExc_ValueError, "groups are 0 to 16383");
        return -1;
    }
    if (told != Py_None && !PyByteArray_Check(told)) {
        PyErr_SetString(PyExc_TypeError, "expected a bytearray or None");
        return -1;
    }
    for (unsigned group = first; group <= last; group++)
        Py_XSETREF(core->moving_told[group], told == Py_None ? NULL : Py_NewRef(told));
    return 0;
}

/* Adds the trailer to an answer that was wanted with it, where a datagram has room for both. */
void moving_add(Core *core, struct item *item) {
    PyObject *told = core->moving_told[item->h.group];
    if (item->reply_length + NM_MOVING_LENGTH > REPLY_ROOM) return;
    uint8_t *end = reply_of(core, item) + item->reply_length;
    if (told && PyByteArray_GET_SIZE(told) == NM_MOVING_LENGTH)
        memcpy(end, PyByteArray_AS_STRING(told), NM_MOVING_LENGTH);
    else
        memset(end, 0, NM_MOVING_LENGTH);
    item->reply_length += NM_MOVING_LENGTH;
    item->reply_flags |= NM_MOVING;
}
