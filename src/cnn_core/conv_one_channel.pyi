# Nothing here can be called from Python; other kernels cimport it.
