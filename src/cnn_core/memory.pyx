# compiled once: it computes nothing
"""Memory for activations that is used again: a buffer returns when the last array on it dies.

A training step allocates the same large arrays over and over. Fresh ones come from the operating
system page by page, zeroed at first touch, which takes longer than most kernels take to fill
them. No layer owns memory: whoever holds the array, or a view of it, holds the buffer.

Buffers have sizes of 1, 1.25, 1.5 or 1.75 times a power of two, and one stack of idle ones each.
The stacks are under a lock, see `idle_buffers.h`: any thread may be the last to hold an array.
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
    int guard_forks()

cdef extern from "Python.h":
    int PyBuffer_FillInfo(
        Py_buffer* view, object exporter, void* memory, Py_ssize_t n, int readonly, int flags,
    ) except -1

cdef size_t idle_bytes = 0           # of all idle buffers
# bytes: beyond this, buffers go back to the operating system; with 32 bits all memory is 4 GiB
cdef size_t max_idle = 1 << 30 if sizeof(void*) > 4 else 1 << 28


cdef size_t rounded(size_t n) noexcept nogil:
    """Return the smallest size of a buffer that holds n bytes."""
    cdef size_t step = 4096
    while step * 8 < n:
        step *= 2
    return (n + step - 1) // step * step


cdef int stack_of(size_t size) noexcept nogil:
    """Return which stack buffers of a size lie on."""
    cdef int which = 0
    cdef size_t step = 4096
    while step * 8 < size:
        step *= 2
        which += 4
    return which + <int> (size // step)


cdef void* take_idle(size_t size) noexcept nogil:
    """Return the memory of an idle buffer, or NULL if there is none."""
    global idle_bytes
    lock_idle()
    cdef void* memory = pop_idle(stack_of(size))
    if memory != NULL:
        idle_bytes -= size
    unlock_idle()
    return memory


cdef void give_back(void* memory, size_t size) noexcept nogil:
    """Keep the memory of a buffer for the next one, or let the operating system have it."""
    global idle_bytes
    lock_idle()
    cdef bint kept = idle_bytes + size <= max_idle
    if kept:
        push_idle(stack_of(size), memory)
        idle_bytes += size
    unlock_idle()
    if not kept:
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
        self.memory = take_idle(self.size)
        if self.memory == NULL:
            self.memory = line_malloc(self.size)
            if self.memory == NULL:
                release()
                self.memory = line_malloc(self.size)
            if self.memory == NULL:
                raise MemoryError(f"no memory for an array of {self.length} bytes")

    def __dealloc__(self):
        if self.memory != NULL:
            give_back(self.memory, self.size)

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.memory, self.length, 0, flags)


def release():
    """Give all idle buffers back to the operating system."""
    global idle_bytes
    cdef void* memory
    cdef int which
    lock_idle()
    for which in range(IDLE_SIZES):
        memory = pop_idle(which)
        while memory != NULL:
            line_free(memory)
            memory = pop_idle(which)
    idle_bytes = 0
    unlock_idle()


def idle_memory():
    """Return how many bytes lie idle."""
    lock_idle()
    cdef size_t found = idle_bytes
    unlock_idle()
    return found


if guard_forks() != 0:
    raise ImportError("cnn_core.memory cannot guard its lock against forks: pthread_atfork failed")
