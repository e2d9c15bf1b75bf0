# compiled once: it runs before a level is chosen
"""What this processor can run. Built once, for the plainest processor of its family."""

cdef extern from *:
    """
    #if (defined(__x86_64__) || defined(_M_X64)) && (defined(__GNUC__) || defined(__clang__))
    static int x86_level(void) {   /* x86-64 psABI, section 3.1.1: micro-architecture levels */
        __builtin_cpu_init();
    #define HAS(feature) __builtin_cpu_supports(feature)
        if (!(HAS("ssse3") && HAS("sse4.1") && HAS("sse4.2") && HAS("popcnt"))) return 1;
        if (!(HAS("avx2") && HAS("fma") && HAS("bmi") && HAS("bmi2"))) return 2;
        if (!(HAS("avx512f") && HAS("avx512bw") && HAS("avx512cd") && HAS("avx512dq")
              && HAS("avx512vl"))) return 3;
    #undef HAS
        return 4;
    }
    #else
    static int x86_level(void) { return 0; }
    #endif
    #if defined(__wasm__)
    #define OTHER_LEVEL "wasm"
    #else
    #define OTHER_LEVEL "baseline"
    #endif
    """
    int x86_level()
    const char *OTHER_LEVEL
    const unsigned long CYTHON_HEX_VERSION      # 0x030301F0 for 3.3.1


def levels():
    """Return the instruction-set levels this processor runs, best first."""
    level = x86_level()
    return [f"v{k}" for k in range(level, 1, -1)] if level else [OTHER_LEVEL.decode()]


def cython():
    """Return the version of the Cython that translated this package, such as "3.3.1"."""
    cdef unsigned long version = CYTHON_HEX_VERSION
    return ".".join([str(version >> bits & 255) for bits in (24, 16, 8)])
