/* `cdef inline` means it here: a register tile is one function whose literal arguments (its height
 * and width) unroll the loops, and only inlining makes them literals. Left to itself GCC 12 made a
 * shared copy with variable bounds instead, at 0.8 times the speed.
 *
 * Before 3.3, Cython has inline functions of its own that call themselves, which GCC would refuse. */
#if CYTHON_HEX_VERSION >= 0x030300A0
#undef CYTHON_INLINE
#define CYTHON_INLINE __inline__ __attribute__((always_inline))
#endif
