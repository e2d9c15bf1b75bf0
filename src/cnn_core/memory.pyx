# compiled once: it computes nothing
"""Memory for activations that is used again: a buffer returns when the last array on it dies.

A training step allocates the same large arrays over and over. Fresh ones come from the operating
system page by page, zeroed at first touch, which takes longer than most kernels take to fill
them. No layer owns memory: whoever holds the array, or a view of it, holds the buffer.

Buffers have sizes of 1, 1.25, 1.5 or 1.75 times a power of two, and one stack of idle ones each.
"""
from libc.stddef cimport size_t

cdef extern from "aligned_memory.h":
    void* line_malloc(size_t bytes) nogil
    void line_free(void* memory) nogil

cdef extern from "Python.h":
    int PyBuffer_FillInfo(
        Py_buffer* view, object exporter, void* memory, Py_ssize_t n, int readonly, int flags,
    ) except -1

cdef dict idle = {}                 # size of a buffer: stack of buffers' addresses
cdef size_t idle_bytes = 0           # of all idle buffers
cdef size_t max_idle = 1 << 30      # bytes: beyond this, buffers go back to the operating system


cdef size_t rounded(size_t n) noexcept:
    """Return the smallest size of a buffer that holds n bytes."""
    cdef size_t step = 4096
    while step * 8 < n:
        step *= 2
    return (n + step - 1) // step * step


cdef class Buffer:
    """Bytes on a cache line, through the buffer protocol; what is in them is arbitrary."""

    def __cinit__(self, Py_ssize_t length):
        global idle_bytes
        cdef list stack
        if length < 0:
            raise ValueError("a buffer cannot have a negative size")
        self.length = length
        self.size = rounded(length)
        stack = idle.get(self.size)
        if stack:
            self.memory = <void*> <size_t> stack.pop()
            idle_bytes -= self.size
        else:
            self.memory = line_malloc(self.size)
            if self.memory == NULL:
                release()
                self.memory = line_malloc(self.size)
            if self.memory == NULL:
                raise MemoryError(f"no memory for an array of {length} bytes")

    def __dealloc__(self):
        global idle_bytes
        if self.memory == NULL:
            return
        if idle is None or idle_bytes + self.size > max_idle:
            line_free(self.memory)
            return
        idle.setdefault(self.size, []).append(<size_t> self.memory)
        idle_bytes += self.size

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.memory, self.length, 0, flags)


def release():
    """Give all idle buffers back to the operating system."""
    global idle_bytes
    for stack in idle.values():
        while stack:
            line_free(<void*> <size_t> stack.pop())
    idle_bytes = 0


def idle_memory():
    """Return how many bytes lie idle."""
    return idle_bytes
