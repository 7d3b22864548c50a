"""Calls a library that AOTInductor has made, without holding Python's lock.

torch's own loader keeps the lock for as long as the library computes (torch/csrc/inductor/aoti_package/pybind.cpp): the
handler, which talks to TorchServe meanwhile, would wait for every step. The library's C interface is public
(torch/csrc/inductor/aoti_runtime/interface.h), and ctypes gives the lock away.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype, _capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


class CompiledLibrary:
    """For the CPU, with one output. Raises OSError where the file is no library for this machine."""

    def __init__(self, file: Path) -> None:
        library = ctypes.CDLL(str(file))
        if not hasattr(library, "AOTInductorModelContainerRun"):
            raise OSError(f"{file} is no compiled model")
        self._run = library.AOTInductorModelContainerRun
        handles = (ctypes.c_void_p, ctypes.c_size_t)
        self._run.argtypes = [ctypes.c_void_p, *handles, *handles, ctypes.c_void_p, ctypes.c_void_p]
        self._container = ctypes.c_void_p()
        if library.AOTInductorModelContainerCreateWithDevice(
            ctypes.byref(self._container), ctypes.c_size_t(1), b"cpu", None
        ):
            raise OSError(f"{file} cannot be loaded as a compiled model")

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        """Raises RuntimeError where it fails; the library has said why on standard error."""
        # The container frees these handles, and whoever takes the output frees that one.
        capsules = torch._C._aoti.unsafe_alloc_void_ptrs_from_tensors(list(inputs))  # noqa: SLF001 - no public name
        handles = (ctypes.c_void_p * len(capsules))(*(_pointer(capsule, None) for capsule in capsules))
        output = (ctypes.c_void_p * 1)()
        if self._run(self._container, handles, len(handles), output, 1, None, None):
            raise RuntimeError("the compiled model failed")
        tensors = torch._C._aoti.alloc_tensors_by_stealing_from_void_ptrs(  # noqa: SLF001 - no public name
            [_capsule(output[0], None, None)]
        )
        result: Tensor = tensors[0]
        return result
