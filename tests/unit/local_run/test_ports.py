"""Ports are chosen once and kept; what was asked for is taken or refused."""

import socket
from collections.abc import Iterator

import pytest
from local_run.ports import WANTED_PORTS, PortClaims, PortError, any_free, check_host, choose_ports, is_free


@pytest.fixture
def claims() -> Iterator[PortClaims]:
    with PortClaims() as open_claims:
        yield open_claims


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_every_name_gets_a_port_of_its_own(claims: PortClaims) -> None:
    assert len(set(choose_ports({}, {}, claims).values())) == len(WANTED_PORTS)


def test_the_earlier_runs_port_is_kept(claims: PortClaims) -> None:
    port = any_free()
    assert choose_ports({}, {"gateway": port}, claims)["gateway"] == port


def test_a_port_that_another_program_took_meanwhile_is_replaced(claims: PortClaims, taken_port: int) -> None:
    assert choose_ports({}, {"gateway": taken_port}, claims)["gateway"] != taken_port


def test_the_environment_goes_first(claims: PortClaims) -> None:
    port = any_free()
    chosen = choose_ports({"SOLARIS_NATS_PORT": str(port)}, {"nats": any_free(), "gateway": port}, claims)
    assert chosen["nats"] == port
    assert chosen["gateway"] != port


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", "80 80", "٨٠٨٠"])
def test_what_is_no_port_is_refused_by_its_variables_name(claims: PortClaims, text: str) -> None:
    with pytest.raises(PortError, match=r"^SOLARIS_GATEWAY_PORT=.*: must be a port"):
        choose_ports({"SOLARIS_GATEWAY_PORT": text}, {}, claims)


def test_an_asked_for_port_that_is_taken_is_refused(claims: PortClaims, taken_port: int) -> None:
    with pytest.raises(PortError, match=f"^SOLARIS_GATEWAY_PORT={taken_port}: the port is taken"):
        choose_ports({"SOLARIS_GATEWAY_PORT": str(taken_port)}, {}, claims)


def test_a_port_asked_for_twice_is_refused(claims: PortClaims) -> None:
    port = str(any_free())
    with pytest.raises(PortError, match="named twice"):
        choose_ports({"SOLARIS_GATEWAY_PORT": port, "SOLARIS_NATS_PORT": port}, {}, claims)


def test_what_one_stack_has_chosen_no_other_chooses(claims: PortClaims) -> None:
    first = choose_ports({}, {}, claims)
    with PortClaims() as others:  # before anything of the first listens
        second = choose_ports({}, first, others)
        assert set(first.values()).isdisjoint(second.values())
        with pytest.raises(PortError, match="the port is taken"):
            choose_ports({"SOLARIS_GATEWAY_PORT": str(first["gateway"])}, {}, others)
        assert choose_ports({}, first, claims)  # nor does the first choose its own twice
    for port in first.values():
        claims.release(port)
    with PortClaims() as others:
        assert choose_ports({}, first, others) == first


def test_a_held_port_is_closed_to_strangers_and_open_to_its_own_server(claims: PortClaims) -> None:
    port = claims.claim_any()
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind(("127.0.0.1", port))
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)


def test_a_lost_port_is_not_chosen_again(claims: PortClaims) -> None:
    port = any_free()
    assert choose_ports({}, {"nats": port}, claims, lost=[port])["nats"] != port
    with pytest.raises(PortError, match=f"^SOLARIS_NATS_PORT={port}: the port is taken"):
        choose_ports({"SOLARIS_NATS_PORT": str(port)}, {}, claims, lost=[port])


@pytest.mark.parametrize("host", ["192.0.2.7", "no-such-host.invalid"])
def test_a_host_that_is_not_this_machines_is_refused(host: str) -> None:
    with pytest.raises(PortError, match=f"^SOLARIS_HOST={host}: .*; use an address of this machine"):
        check_host(host)
    check_host("127.0.0.1")
