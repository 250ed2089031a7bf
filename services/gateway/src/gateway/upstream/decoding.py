"""Decodes answers that come compressed though nobody asked for it, piece by piece, so that no bomb fills memory."""

import sys
import zlib
from collections.abc import Iterator
from typing import Final, Protocol

import brotli  # type: ignore[import-untyped]  # it has no type hints

from gateway.upstream.connection import UpstreamError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE_BYTES: Final = 256 * 1024
"""The most that is decoded at a time."""


class Decoder(Protocol):
    """One compressed answer."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """The pieces that `data` unfolds into, none longer than about `PIECE_BYTES`; raises UpstreamError."""

    @property
    def at_end(self) -> bool:
        """Whether the compressed data has come to its end."""


class _Deflate:
    """gzip and deflate, the latter with or without zlib's header; several gzip members are one answer."""

    def __init__(self, window_bits: int | None) -> None:
        self._window_bits = window_bits
        """None until two bytes have told whether a zlib header begins the answer (RFC 1950, 2.2)."""
        self._stream = zlib.decompressobj() if window_bits is None else zlib.decompressobj(window_bits)
        self._begin = b""

    @property
    def at_end(self) -> bool:
        return self._stream.eof

    def decode(self, data: bytes) -> Iterator[bytes]:
        if self._window_bits is None:
            self._begin += data
            if len(self._begin) < 2:
                return
            data = self._begin
            has_header = data[0] & 15 == zlib.DEFLATED and int.from_bytes(data[:2]) % 31 == 0
            self._window_bits = zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS
            self._stream = zlib.decompressobj(self._window_bits)
        while data:
            if self._stream.eof:
                self._stream = zlib.decompressobj(self._window_bits)
            try:
                piece = self._stream.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise UpstreamError("the answer's compression is broken") from error
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            if piece:
                yield piece


class _Brotli:
    def __init__(self) -> None:
        self._stream = brotli.Decompressor()

    @property
    def at_end(self) -> bool:
        return bool(self._stream.is_finished())

    def decode(self, data: bytes) -> Iterator[bytes]:
        try:
            while piece := self._stream.process(data, output_buffer_limit=PIECE_BYTES):
                yield piece
                data = b""
                if self._stream.is_finished():
                    return
        except brotli.error as error:
            raise UpstreamError("the answer's compression is broken") from error


class _Zstandard:
    def __init__(self) -> None:
        self._stream = zstd.ZstdDecompressor()

    @property
    def at_end(self) -> bool:
        return self._stream.eof

    def decode(self, data: bytes) -> Iterator[bytes]:
        while data or not (self._stream.needs_input or self._stream.eof):
            if self._stream.eof:
                self._stream = zstd.ZstdDecompressor()
            try:
                piece = self._stream.decompress(data, PIECE_BYTES)
            except zstd.ZstdError as error:
                raise UpstreamError("the answer's compression is broken") from error
            data = self._stream.unused_data if self._stream.eof else b""
            if piece:
                yield piece


def decoder_of(content_encoding: bytes) -> Decoder | None:
    """What decodes an answer of this `content-encoding`; None where it needs none.

    Raises:
        UpstreamError: nobody knows that encoding.
    """
    match content_encoding.strip().lower():
        case b"" | b"identity":
            return None
        case b"gzip" | b"x-gzip":
            return _Deflate(zlib.MAX_WBITS | 16)
        case b"deflate":
            return _Deflate(None)
        case b"br":
            return _Brotli()
        case b"zstd":
            return _Zstandard()
        case other:
            raise UpstreamError(f"the answer is compressed in a way that nobody knows: {other[:40]!r}")
