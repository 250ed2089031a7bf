"""One word means one thing: a message that crosses between services is no command of the ledger's."""

import inspect
from importlib import import_module
from pkgutil import walk_packages
from typing import get_args

import contracts
from ledger.domain.commands import Command
from msgspec import Struct


def messages() -> set[type]:
    modules = (import_module(found.name) for found in walk_packages(contracts.__path__, "contracts."))
    return {each for module in modules for _, each in inspect.getmembers(module, inspect.isclass)} - {Struct}


def test_no_message_bears_a_command_s_name() -> None:
    names = {each.__name__ for each in messages() if issubclass(each, Struct)}
    assert "ReserveRequest" in names
    assert names & {command.__name__ for command in get_args(Command)} == set()
