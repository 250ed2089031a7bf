"""Ports are chosen once and kept; what was asked for is taken or refused."""

import socket
from collections.abc import Iterator

import pytest
from local_run.ports import WANTED_PORTS, PortError, any_free, choose_ports


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_every_name_gets_a_port_of_its_own() -> None:
    assert len(set(choose_ports({}, {}).values())) == len(WANTED_PORTS)


def test_the_earlier_runs_port_is_kept() -> None:
    port = any_free()
    assert choose_ports({}, {"gateway": port})["gateway"] == port


def test_a_port_that_another_program_took_meanwhile_is_replaced(taken_port: int) -> None:
    assert choose_ports({}, {"gateway": taken_port})["gateway"] != taken_port


def test_the_environment_goes_first() -> None:
    port = any_free()
    chosen = choose_ports({"SOLARIS_NATS_PORT": str(port)}, {"nats": any_free(), "gateway": port})
    assert chosen["nats"] == port
    assert chosen["gateway"] != port


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", "80 80", "٨٠٨٠"])
def test_what_is_no_port_is_refused_by_its_variables_name(text: str) -> None:
    with pytest.raises(PortError, match="SOLARIS_GATEWAY_PORT is not a port"):
        choose_ports({"SOLARIS_GATEWAY_PORT": text}, {})


def test_an_asked_for_port_that_is_taken_is_refused(taken_port: int) -> None:
    with pytest.raises(PortError, match=f"SOLARIS_GATEWAY_PORT: port {taken_port} is taken"):
        choose_ports({"SOLARIS_GATEWAY_PORT": str(taken_port)}, {})


def test_a_port_asked_for_twice_is_refused() -> None:
    port = str(any_free())
    with pytest.raises(PortError, match="named twice"):
        choose_ports({"SOLARIS_GATEWAY_PORT": port, "SOLARIS_NATS_PORT": port}, {})
