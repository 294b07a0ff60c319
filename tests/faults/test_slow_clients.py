"""Clients that send their requests slowly, or not to the end: everybody else is served all the same."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import builders
import pytest
from processes import Volunteer, Web, wait_until

from microtasks.engine.site import Site
from microtasks.web.requests import bodies

pytestmark = pytest.mark.faults

HEADER = (
    b"POST /api/v1/answers HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1000\r\n\r\n{"
)


@pytest.fixture
def web(site: Site) -> Iterator[Web]:
    web = Web(site.settings)
    yield web
    web.kill()


def is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(4096) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize("n_addresses", [1, 200])
def test_T11_two_hundred_slow_bodies_keep_nobody_waiting_and_are_closed(
    site: Site, web: Web, n_addresses: int
) -> None:
    project = builders.project(site, redundancy=1000)
    builders.tasks(site, project, 40)
    web.start()
    slow = []
    for i in range(200):
        connection = socket.socket()
        connection.bind((f"127.0.1.{1 + i % n_addresses}", 0))
        connection.connect(("127.0.0.1", web.port))
        connection.sendall(HEADER)
        slow.append(connection)
    for _ in range(30):  # with eight threads this would wait until the slow ones are through: for ever
        assert Volunteer(web.port).post(f"/projects/{project.slug}/leases", {"limit": 1})["leases"]
    wait_until(lambda: [c for c in slow if not is_closed(c)].__len__() <= 2 * bodies.CALM_MAX)
    for connection in slow:
        connection.close()


def test_T11_a_body_that_comes_in_pieces_is_read_whole(web: Web) -> None:
    web.start()
    body = b'{"answers": []}'
    with socket.create_connection(("127.0.0.1", web.port)) as connection:
        connection.sendall(HEADER.replace(b"1000", b"%d" % len(body))[:-1])
        for byte in body:
            connection.sendall(bytes([byte]))
        reply = http.client.HTTPResponse(connection)
        reply.begin()
        assert reply.status == 200 and b"receipts" in reply.read()


def test_T11_one_address_waits_in_so_many_threads_and_another_is_not_refused() -> None:
    turns = bodies.Turns(lambda *_: [], 4)
    for _ in range(bodies.ANY_PER_ADDRESS):
        turns.begin("192.0.2.1")
    with pytest.raises(Exception, match="Too many requests from your network"):
        turns.begin("192.0.2.1")
    turns.begin("192.0.2.2")
