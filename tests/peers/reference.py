"""The double-precision references of the kernels, called from Python: peers are compared with them to 1e-6 and closer.

    call("weft_attention_forward", sizes, begin, keys, out, lse, q, k, v)

Arrays are NumPy's: float64, int64 (long), int32 (int), bool or uint32 as the C function in tests/peers/reference/ takes them;
contiguous, which is checked. The library's path is in WEFT_REFERENCE, which CTest sets.
"""
import ctypes
import os

import numpy

LIBRARY = ctypes.CDLL(os.environ["WEFT_REFERENCE"])


def call(name, *arguments):
    function = getattr(LIBRARY, name)
    function.restype = None
    passed = []
    for one in arguments:
        if isinstance(one, numpy.ndarray):
            if not one.flags["C_CONTIGUOUS"]:
                raise ValueError(f"{name}: got an array that is not contiguous")
            passed.append(ctypes.c_void_p(one.ctypes.data))
        elif isinstance(one, float):
            passed.append(ctypes.c_double(one))
        elif one is None:
            passed.append(ctypes.c_void_p(None))
        else:
            passed.append(ctypes.c_long(one))
    function(*passed)
