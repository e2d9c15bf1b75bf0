# compiled once: it computes nothing
"""Memory for activations that is used again: a buffer returns when the last array on it dies.

A training step allocates the same large arrays over and over. Fresh ones come from the operating
system page by page, zeroed at first touch, which takes longer than most kernels take to fill
them. No layer owns memory: whoever holds the array, or a view of it, holds the buffer.

Small buffers have sizes of 1, 1.25, 1.5 or 1.75 times a power of two, and one stack of idle ones
each. Large ones are cut from what lies idle and joined again, see `large_buffers.h`; where nothing
fits, idle ones go back to the operating system first, so that memory follows what is needed at
once, not the sum of what is needed of each size. All of this is under a lock, see `idle_buffers.h`:
any thread may be the last to hold an array.
"""
from cpython.pyport cimport PY_SSIZE_T_MAX
from libc.stddef cimport size_t

cdef extern from "aligned_memory.h":
    void* line_malloc(size_t bytes) nogil
    void line_free(void* memory) nogil

cdef extern from "idle_buffers.h":
    enum: IDLE_SIZES
    void lock_idle() nogil
    void unlock_idle() nogil
    void push_idle(int which, void* memory) nogil
    void* pop_idle(int which) nogil
    int size_class(size_t size) nogil
    int guard_forks()

cdef extern from "large_buffers.h":
    enum: DESCRIPTION, PAGE
    const size_t SMALL
    ctypedef struct Part:
        size_t size
    size_t idle_in_parts
    int is_whole(const Part* part) nogil
    void unlist_part(Part* part) nogil
    void* new_part(size_t size) nogil
    void end_part(void* memory, size_t size) nogil
    void* take_part(size_t* size) nogil
    Part* give_part(void* memory, size_t size) nogil
    void* memory_of(Part* part) nogil
    void* take_whole(size_t* size) nogil
    void return_pages() nogil

cdef extern from "Python.h":
    int PyBuffer_FillInfo(
        Py_buffer* view, object exporter, void* memory, Py_ssize_t n, int readonly, int flags,
    ) except -1

cdef size_t idle_bytes = 0          # on the stacks
# bytes: beyond this, buffers go back to the operating system; with 32 bits all memory is 4 GiB
cdef size_t max_idle = 1 << 30 if sizeof(void*) > 4 else 1 << 28
cdef size_t exchange = 1 << 30      # bytes that may go back for others: fresh pages take time, so
cdef int EXCHANGED = 32             # one byte of so many that are taken may be fresh


cdef size_t rounded(size_t n) noexcept nogil:
    """Return the size of a buffer that holds n bytes."""
    cdef size_t step = 4096
    if n > SMALL:
        return (n + DESCRIPTION + PAGE - 1) // PAGE * PAGE
    while step * 8 < n:
        step *= 2
    return (n + step - 1) // step * step


cdef void* take_idle(size_t* size) noexcept nogil:
    """Return idle memory of at least a size, and write its size; NULL if there is none."""
    global idle_bytes, exchange
    cdef void* memory
    lock_idle()
    if size[0] > SMALL:
        memory = take_part(size)
        exchange = min(max_idle, exchange + size[0] // EXCHANGED)
    else:
        memory = pop_idle(size_class(size[0]))
        if memory != NULL:
            idle_bytes -= size[0]
    unlock_idle()
    return memory


cdef void* take_new(size_t size) noexcept nogil:
    """Return memory from the operating system, which may get other memory back for it."""
    global exchange
    cdef size_t given = 0, one = 0
    cdef void* memory
    if size <= SMALL:
        return line_malloc(size)
    while given < size:
        memory = NULL
        lock_idle()
        if exchange >= size:
            memory = take_whole(&one)
            exchange -= 0 if memory == NULL else min(exchange, one)
        unlock_idle()
        if memory == NULL:
            break
        end_part(memory, one)
        given += one
    return new_part(size)


cdef void give_back(void* memory, size_t size) noexcept nogil:
    """Keep the memory of a buffer for the next one, or let the operating system have it."""
    global idle_bytes
    cdef Part* part
    lock_idle()
    cdef bint kept = idle_bytes + idle_in_parts + size <= max_idle
    if size > SMALL:
        part = give_part(memory, size)
        kept = kept or not is_whole(part)
        if not kept:
            unlist_part(part)
            memory, size = memory_of(part), part.size
    elif kept:
        push_idle(size_class(size), memory)
        idle_bytes += size
    unlock_idle()
    if not kept and size > SMALL:
        end_part(memory, size)
    elif not kept:
        line_free(memory)


cdef class Buffer:
    """Bytes on a cache line, through the buffer protocol; what is in them is arbitrary.

    The length is a double: those who compute it need not fear that a product overflows.
    """

    def __cinit__(self, double length):
        if length < 0:
            raise ValueError("a buffer cannot have a negative size")
        if not length <= PY_SSIZE_T_MAX / 2:
            raise MemoryError(f"no memory for an array of {length:.0f} bytes")
        self.length = <Py_ssize_t> length
        if self.length != length:
            raise TypeError(f"a buffer has a whole number of bytes, got {length}")
        self.size = rounded(max(1, self.length))
        self.memory = take_idle(&self.size)
        if self.memory == NULL:
            self.memory = take_new(self.size)
            if self.memory == NULL:
                release()
                self.memory = take_new(self.size)
            if self.memory == NULL:
                raise MemoryError(f"no memory for an array of {self.length} bytes")

    def __dealloc__(self):
        if self.memory != NULL:
            give_back(self.memory, self.size)

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.memory, self.length, 0, flags)


def release():
    """Give all idle buffers back to the operating system."""
    global idle_bytes, exchange
    cdef void* memory
    cdef size_t size
    cdef int which
    lock_idle()
    for which in range(IDLE_SIZES):
        memory = pop_idle(which)
        while memory != NULL:
            line_free(memory)
            memory = pop_idle(which)
    idle_bytes, exchange = 0, max_idle
    memory = take_whole(&size)
    while memory != NULL:
        end_part(memory, size)
        memory = take_whole(&size)
    return_pages()
    unlock_idle()


def idle_memory():
    """Return how many bytes lie idle."""
    lock_idle()
    cdef size_t found = idle_bytes + idle_in_parts
    unlock_idle()
    return found


if guard_forks() != 0:
    raise ImportError("cnn_core.memory cannot guard its lock against forks: pthread_atfork failed")
