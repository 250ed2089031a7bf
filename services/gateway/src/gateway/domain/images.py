"""What an image costs in prompt tokens, by the providers' documented rules."""

import base64
import binascii
from io import BytesIO
from math import ceil
from typing import Final, assert_never

import imagesize  # type: ignore[import-untyped]  # it has no type hints

from gateway.domain.model_families import FixedCost, ImageCost, PatchCost, TileCost

type Size = tuple[int, int]

_LONGEST_SIDE: Final = 2048
_SHORTEST_SIDE: Final = 768
_TILE_SIDE: Final = 512
_MOST_TILES: Final = 8
"""2048 x 768, the largest picture that is left after scaling, cut into tiles."""
_HEADER_CHARACTERS: Final = 256 * 1024
"""Base64 characters in which a picture's size must stand; a JPEG may carry a preview before it."""

_KNOWN: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"GIF87a", b"GIF89a", b"RIFF")
"""How the pictures begin that every provider takes. Of others the library would read more than a few bytes."""


def image_tokens(url: str, detail: str | None, cost: ImageCost) -> int:
    """Prompt tokens of one image; the documented maximum where its size can't be seen."""
    match cost:
        case TileCost(base_tokens=base, tile_tokens=tile):
            if detail == "low":
                return base
            size = data_url_size(url)
            return base + tile * (_MOST_TILES if size is None else _tiles(size))
        case PatchCost(patch_limit=limit, percent=percent, side=side, low_patches=low):
            if detail == "low" and low is not None:
                return ceil(min(limit, low) * percent / 100)
            size = data_url_size(url)
            patches = limit if size is None else min(limit, ceil(size[0] / side) * ceil(size[1] / side))
            return ceil(patches * percent / 100)
        case FixedCost(tokens=tokens, low_tokens=low_tokens):
            return low_tokens if detail == "low" else tokens
        case _:
            assert_never(cost)


def _tiles(size: Size) -> int:
    """Tiles after scaling the shortest side to 768 pixels within a square of 2048, upwards too: the worst case."""
    longest, shortest = max(size), max(1, min(size))
    scale = min(_LONGEST_SIDE / longest, _SHORTEST_SIDE / shortest)
    return min(
        _MOST_TILES, ceil(round(longest * scale) / _TILE_SIDE) * max(1, ceil(round(shortest * scale) / _TILE_SIDE))
    )


def data_url_size(url: str) -> Size | None:
    """Width and height of a PNG, JPEG, GIF or WebP in a `data:` URL, from its first bytes; None when not to be seen."""
    if not url.startswith("data:"):
        return None
    comma = url.find(",", 0, 256)
    if comma < 0 or not url[:comma].endswith(";base64"):
        return None
    characters = url[comma + 1 : comma + 1 + _HEADER_CHARACTERS]
    try:
        data = base64.b64decode(characters[: len(characters) // 4 * 4])
    except (binascii.Error, ValueError):
        return None
    if not data.startswith(_KNOWN):
        return None
    width, height = imagesize.get(BytesIO(data), exif_rotation=False)
    return (width, height) if width > 0 and height > 0 else None
