"""What is known of models by their names: tokenizer, overheads, cost of images, the name of their maximum."""

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final


class Encoding(Enum):
    """The tokenizers that are bundled."""

    O200K = "o200k_base"
    CL100K = "cl100k_base"


@dataclass(frozen=True, slots=True, kw_only=True)
class TileCost:
    """Tiles of 512 pixels: https://developers.openai.com/api/docs/guides/images-vision."""

    base_tokens: int
    tile_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchCost:
    """Patches of some pixels a side, at most `patch_limit` of them, times a factor in percent.

    `low_patches` is what a picture of low detail is made of, where there is such a thing. OpenAI's are of 32 pixels
    (the guide above), Anthropic's of 28: https://platform.claude.com/docs/en/build-with-claude/vision.
    """

    patch_limit: int
    percent: int = 100
    side: int = 32
    low_patches: int | None = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedCost:
    """The same for every picture, whatever its size."""

    tokens: int
    low_tokens: int


type ImageCost = TileCost | PatchCost | FixedCost


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFamily:
    """`margin_percent` is 100 where the tokenizer is the model's own; overheads in tokens."""

    encoding: Encoding
    margin_percent: int
    maximum_name: str
    image_cost: ImageCost
    message_tokens: int = 4
    reply_tokens: int = 3
    tools_tokens: int = 20
    tool_tokens: int = 12


_GPT_4O_IMAGES: Final = TileCost(base_tokens=85, tile_tokens=170)
_O_SERIES_IMAGES: Final = TileCost(base_tokens=75, tile_tokens=150)
_GPT_5_IMAGES: Final = TileCost(base_tokens=70, tile_tokens=140)

_ORIGINAL_IMAGES: Final = PatchCost(patch_limit=10_000, percent=246)
_NEWEST_IMAGES: Final = PatchCost(patch_limit=30_000, percent=246)
"""From GPT-5.6 on a picture is not made smaller, and one of more patches is refused. For want of the large models'
factors: the dearest of the small ones'."""

# (prefix, cost); the first that fits wins. Newer models than these are counted as the dearest of their kind.
_OPENAI_IMAGES: Final[tuple[tuple[str, ImageCost], ...]] = (
    ("gpt-4o-mini", TileCost(base_tokens=2833, tile_tokens=5667)),
    ("gpt-4.1-mini", PatchCost(patch_limit=1536, percent=162)),
    ("gpt-4.1-nano", PatchCost(patch_limit=1536, percent=246)),
    ("gpt-5-mini", PatchCost(patch_limit=1536, percent=162)),
    ("gpt-5-nano", PatchCost(patch_limit=1536, percent=246)),
    ("gpt-5-chat", _GPT_5_IMAGES),
    ("gpt-5.4-mini", PatchCost(patch_limit=1536, percent=162)),
    ("gpt-5.4-nano", PatchCost(patch_limit=1536, percent=246)),
    *((f"gpt-5.{minor}", _ORIGINAL_IMAGES) for minor in range(1, 6)),
    ("gpt-5.", _NEWEST_IMAGES),
    ("gpt-5", _GPT_5_IMAGES),
    ("gpt-6", _NEWEST_IMAGES),
    ("o4-mini", PatchCost(patch_limit=1536, percent=172)),
    ("o1", _O_SERIES_IMAGES),
    ("o3", _O_SERIES_IMAGES),
)

_STANDARD_CLAUDE: Final = re.compile(r"claude-(instant|[23])|claude-(opus|sonnet|haiku)-4(?![.-]([7-9]|[1-9]\d)(?!\d))")
"""Up to Claude 4.6 a picture is 1,568 patches at most; later ones take larger pictures."""
_CLAUDE_IMAGES: Final = PatchCost(patch_limit=4784, side=28, low_patches=None)
_STANDARD_CLAUDE_IMAGES: Final = PatchCost(patch_limit=1568, side=28, low_patches=None)

_GEMINI_IMAGES: Final = FixedCost(tokens=2240, low_tokens=280)
"""The most of any resolution: Gemini 3 takes 1,120 unless it is told otherwise, Gemini 2.5 about 2,048, and both go by
the proportions more than by the size: https://ai.google.dev/gemini-api/docs/media-resolution."""
_OTHER_IMAGES: Final = TileCost(base_tokens=85, tile_tokens=258)
"""No provider's: between OpenAI's tiles and Gemini's, which cost 258 each."""

_REASONING_PREFIXES: Final = ("o1", "o3", "o4", "gpt-5", "gpt-6")
_CL100K_PREFIXES: Final = ("gpt-4-", "gpt-3.5", "gpt-35")
_OPENAI_PREFIXES: Final = (*_REASONING_PREFIXES, "gpt-4", "gpt-3.5", "gpt-35", "gpt-oss", "chatgpt-")


@lru_cache(maxsize=1024)
def model_family(model: str) -> ModelFamily:
    """The family of a model by its name, with or without a provider's prefix (`openai/gpt-4o`)."""
    name = model.rpartition("/")[2].lower().removeprefix("ft:")
    if not name.startswith(_OPENAI_PREFIXES):
        return _other_family(name)
    reasoning = name.startswith(_REASONING_PREFIXES)
    cl100k = name == "gpt-4" or name.startswith(_CL100K_PREFIXES)
    return ModelFamily(
        encoding=Encoding.CL100K if cl100k else Encoding.O200K,
        margin_percent=100,
        maximum_name="max_completion_tokens" if reasoning else "max_tokens",
        image_cost=next((cost for prefix, cost in _OPENAI_IMAGES if _is_of(name, prefix)), _GPT_4O_IMAGES),
    )


def _is_of(name: str, prefix: str) -> bool:
    """Whether the name begins so, and a version at the prefix's end ends there: `gpt-5.10` is no `gpt-5.1`."""
    return name.startswith(prefix) and not (prefix[-1].isdigit() and name[len(prefix) : len(prefix) + 1].isdigit())


def _other_family(name: str) -> ModelFamily:
    """Any other provider: its tokens are ours with a margin; tool use adds its own system prompt."""
    return ModelFamily(
        encoding=Encoding.O200K,
        margin_percent=120,
        maximum_name="max_tokens",
        image_cost=_other_images(name),
        message_tokens=6,
        reply_tokens=6,
        tools_tokens=600,
        tool_tokens=30,
    )


def _other_images(name: str) -> ImageCost:
    if "claude" in name:
        return _STANDARD_CLAUDE_IMAGES if _STANDARD_CLAUDE.search(name) else _CLAUDE_IMAGES
    return _GEMINI_IMAGES if "gemini" in name else _OTHER_IMAGES
