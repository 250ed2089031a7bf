"""Files that pages load, from our own origin, under names that change with their content."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pages.stylesheet import tabler

_MEDIA_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_OURS: Final = Path(__file__).with_name("static")
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_DIGEST_LENGTH: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A file with its media type, as it is and compressed."""

    media_type: str
    content: bytes
    compressed: bytes

    @property
    def headers(self) -> dict[str, str]:
        return {
            "cache-control": _FOR_EVER,
            "vary": "accept-encoding",
            "x-content-type-options": "nosniff",
            "cross-origin-resource-policy": "same-origin",
        }


class Assets:
    """The common ones, and those of a service's own folder, below `path` (`/buy/assets`)."""

    def __init__(self, path: str, *folders: Path) -> None:
        self.path = path
        contents = {"tabler.css": tabler().encode()}
        for folder in (_OURS, *folders):
            contents |= {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix in _MEDIA_TYPES}
        self._names = {name: _with_digest(name, content) for name, content in contents.items()}
        self._assets: Mapping[str, Asset] = {self._names[name]: _asset(name, each) for name, each in contents.items()}

    def path_of(self, name: str) -> str:
        """The path of `pages.css`, without a slash at its start.

        Raises:
            KeyError: there is no such file.
        """
        return f"{self.path.removeprefix('/')}/{self._names[name]}"

    @property
    def route(self) -> Route:
        """Answers for all of them."""
        return Route(f"{self.path}/{{name}}", self._serve, methods=["GET"])

    async def _serve(self, request: Request) -> Response:
        asset = self._assets.get(request.path_params["name"])
        if asset is None:  # of another version: nobody may remember it under this name
            return PlainTextResponse("no such file", status_code=404, headers={"cache-control": "no-store"})
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers = {**asset.headers, "content-encoding": "gzip"}
            return Response(asset.compressed, media_type=asset.media_type, headers=headers)
        return Response(asset.content, media_type=asset.media_type, headers=asset.headers)


def _asset(name: str, content: bytes) -> Asset:
    media_type = _MEDIA_TYPES[Path(name).suffix]
    return Asset(media_type=media_type, content=content, compressed=gzip.compress(content, mtime=0))


def _with_digest(name: str, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()[:_DIGEST_LENGTH]
    file = Path(name)
    return f"{file.stem}.{digest}{file.suffix}"
