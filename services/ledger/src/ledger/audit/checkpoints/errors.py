"""Why a checkpoint can't be made, kept, read or believed."""

from contracts.errors import SolarisError


class CheckpointError(SolarisError):
    """The text says why in one line."""


class TakenError(CheckpointError):
    """There is a checkpoint of that number already; it is never written over."""
