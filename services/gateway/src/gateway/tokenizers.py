"""The bundled tokenizers, each loaded when it is first needed, without a download."""

import asyncio
import ctypes
import mmap
import sys
from collections.abc import Callable, Iterable
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Final

from gateway.domain.model_families import Encoding

SLICE_CHARACTERS: Final = 64 * 1024
"""Characters that are counted at once: 1 to 4 ms. The tokenizer keeps the interpreter's lock: no thread would help."""


SHORT_CHARACTERS: Final = 32
"""Counting so little is as fast as looking it up."""
REMEMBERED_TEXTS: Final = 16_384
"""At most twice as many counts are kept, about 2 MB."""


class RepeatedTexts:
    """Counts texts, and remembers their counts: a chat sends its whole conversation again with each message.

    Kept is a text's hash, which nobody outside can foresee; two texts of one hash would share a count, an estimate.
    """

    def __init__(self, count: Callable[[str], int]) -> None:
        self._count = count
        self._recent: dict[tuple[int, int], int] = {}
        self._earlier: dict[tuple[int, int], int] = {}

    @property
    def remembered(self) -> int:
        return len(self._recent) + len(self._earlier)

    def count(self, text: str) -> int:
        if len(text) < SHORT_CHARACTERS:
            return self._count(text)
        key = (len(text), hash(text))
        tokens = self._recent.get(key)
        if tokens is None:
            tokens = self._earlier.get(key)
            if tokens is None:
                tokens = self._count(text)
            if len(self._recent) >= REMEMBERED_TEXTS:
                self._earlier, self._recent = self._recent, {}
            self._recent[key] = tokens
        return tokens


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
def _repeated_texts(encoding: Encoding) -> RepeatedTexts:
    return RepeatedTexts(token_counter(encoding))


async def count_tokens(texts: Iterable[str], encoding: Encoding) -> int:
    """The tokens of all texts. Long ones are cut into slices, between which other calls run; a cut may add a token."""
    count = _repeated_texts(encoding).count
    tokens = 0
    characters = 0
    for text in texts:
        for piece in slices(text):
            tokens += count(piece)
            characters += len(piece)
            if characters >= SLICE_CHARACTERS:
                characters = 0
                await asyncio.sleep(0)
    return tokens


def slices(text: str) -> Iterable[str]:
    """`text` in pieces of at most `SLICE_CHARACTERS`."""
    if len(text) <= SLICE_CHARACTERS:
        return (text,)
    return (text[at : at + SLICE_CHARACTERS] for at in range(0, len(text), SLICE_CHARACTERS))


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
