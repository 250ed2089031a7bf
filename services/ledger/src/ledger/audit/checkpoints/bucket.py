"""Keeps checkpoints in a bucket of an S3-compatible service, which must know conditional writes (`If-None-Match`)."""

import filecmp
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from ledger.audit.checkpoints.errors import CheckpointError, TakenError
from ledger.audit.checkpoints.shelf import name_of, number_of
from ledger.settings import LedgerSettings

if TYPE_CHECKING:
    from obstore.store import S3Config

CONNECT_SECONDS: Final = 5
REQUEST_SECONDS: Final = 120
RETRIES: Final = 3
RETRY_SECONDS: Final = 180


class BucketShelf:
    """`s3://bucket/prefix`. Without a key id the credentials are those that the platform gives (`AWS_…`, a role)."""

    def __init__(self, place: str, settings: LedgerSettings) -> None:
        self.place = place
        bucket, _, self._prefix = place.removeprefix("s3://").partition("/")
        endpoint = settings.checkpoints_s3_url or ""
        given: S3Config = {
            "region": settings.checkpoints_s3_region,
            "virtual_hosted_style_request": False,
            "disable_bulk_delete": True,  # not every such service has it
        }
        if endpoint:
            given["endpoint"] = endpoint
        if settings.checkpoints_s3_key_id and settings.checkpoints_s3_secret is not None:
            given["access_key_id"] = settings.checkpoints_s3_key_id
            given["secret_access_key"] = settings.checkpoints_s3_secret.get_secret_value()
        self._store = S3Store(
            bucket,
            prefix=self._prefix or None,
            config=given,
            client_options={
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                "timeout": timedelta(seconds=REQUEST_SECONDS),
            },
            retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
        )

    def numbers(self) -> list[int]:
        try:
            found = [each["path"] for page in obstore.list(self._store) for each in page]
        except (BaseError, OSError, ValueError) as error:
            raise self._error(error) from error
        return sorted(number for path in found if (number := number_of(path.rpartition("/")[2])) is not None)

    def put(self, number: int, document: Path) -> None:
        try:
            # A service without conditional writes would write over what is there; it does so in a race alone.
            if self._has(number) and not self._is(number, document):
                raise TakenError(f"{self.place} has a checkpoint {number} already")
            obstore.put(self._store, name_of(number), document, mode="create", use_multipart=False)
        except AlreadyExistsError:
            # Perhaps it is this one: a write whose answer was lost has been repeated.
            if not self._is(number, document):
                raise TakenError(f"{self.place} has a checkpoint {number} already") from None
        except (BaseError, OSError, ValueError) as error:
            raise self._error(error) from error

    def fetch(self, number: int, into: Path) -> None:
        try:
            with into.open("xb") as file:
                for chunk in obstore.get(self._store, name_of(number)):
                    file.write(chunk)
        except FileNotFoundError:
            raise CheckpointError(f"{self.place} has no checkpoint {number}") from None
        except (BaseError, OSError, ValueError) as error:
            raise self._error(error) from error

    def remove(self, number: int) -> None:
        try:
            obstore.delete(self._store, name_of(number))
        except FileNotFoundError:
            pass
        except (BaseError, OSError, ValueError) as error:
            raise self._error(error) from error

    def _has(self, number: int) -> bool:
        try:
            obstore.head(self._store, name_of(number))
        except FileNotFoundError:
            return False
        return True

    def _is(self, number: int, document: Path) -> bool:
        with tempfile.TemporaryDirectory(prefix="solaris-checkpoint-") as folder:
            there = Path(folder) / "there"
            self.fetch(number, there)
            return filecmp.cmp(there, document, shallow=False)

    def _error(self, error: Exception) -> CheckpointError:
        words = str(error).strip().splitlines()
        return CheckpointError(f"{self.place}: {words[0] if words else type(error).__name__}")
