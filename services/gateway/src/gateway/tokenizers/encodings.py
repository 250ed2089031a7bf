"""The bundled tokenizers, each loaded when it is first needed, without a download."""

import ctypes
import mmap
import sys
from collections.abc import Callable
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType

from gateway.domain.model_families import Encoding


@cache
def token_counter(encoding: Encoding) -> Callable[[str], int]:
    """Counts the tokens of a text; loading takes about 50 ms once."""
    bindings = _bindings()
    tokenizer = bindings.tokenizer_for_encoding(encoding.value)
    count: Callable[[str], int] = tokenizer.count
    count("")
    _release_file_pages(Path(bindings.__file__ or ""))
    return count


@cache
def _bindings() -> ModuleType:
    """The extension inside `bpe_openai`, without the package around it, whose import builds 70 MB of unused tables."""
    package = find_spec("bpe_openai")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("bpe_openai")
    finder = FileFinder(package.submodule_search_locations[0], (ExtensionFileLoader, EXTENSION_SUFFIXES))
    spec = finder.find_spec("_bindings")
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("bpe_openai._bindings")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _release_file_pages(library: Path) -> None:
    """Give back the pages of the tokenizer's tables in the library file, 30 to 45 MB: they were copied when loaded.

    Read-only pages of a file: the kernel reads them again should anything touch them.
    """
    if sys.platform != "linux":
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith(str(library)) and " r--p 00000000 " in line:
            start, _, end = line.split(" ", 1)[0].partition("-")
            madvise(int(start, 16), int(end, 16) - int(start, 16), mmap.MADV_DONTNEED)
