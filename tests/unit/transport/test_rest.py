"""Goal: a write is sent once and its outcome never guessed; a read is repeated within its bounds.
Method: a raw server on loopback that answers, hangs up, lies or keeps silent as told.
"""

import asyncio
import datetime as dt
import ipaddress
import random
import socket as sockets
import ssl

import pytest
from hand_clock import HandClock, run, turns, until, until_after
from http_server import OK, HttpServer, saying

from hedge.errors import ConfigError, OutcomeUnknown, Unreachable
from hedge.transport import ClockOffset, Rest, RestLimits, TroubleKind


def make(server, clock, **named):
    troubles = named.pop("troubles", [])
    url = named.pop("url", None) or server.url
    return Rest(
        url, name="rest", clock=clock, on_trouble=troubles.append, random=random.Random(3), **named
    )


async def impatient(rest, clock, method, *args, **named):
    """Ask, and let the clock run while nothing comes."""
    asking = asyncio.ensure_future(method(*args, **{"timeout_ms": 5_000, **named}))
    await until_after(clock, asking.done, ms=100)
    return await asking


def test_a_request_is_sent_as_it_was_signed_and_its_reply_comes_whole():
    async def main():
        answer = (
            b"HTTP/1.1 100 Continue\r\n\r\n"
            b"HTTP/1.1 418 I'm a teapot\r\nX-MBX-Used-Weight-1M: 7\r\nRetry-After: 9\r\n"
            b"X-Two: a\r\nx-two: b\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\n{}\n\r\n2\r\nxx\r\n0\r\n\r\n"
        )
        async with HttpServer(saying(answer)) as server:
            clock = HandClock()
            async with make(server, clock, headers={"X-Key": "k"}) as rest:
                reply = await rest.write(
                    "POST",
                    "/api/v3/order",
                    query="a=1&b=%20x&signature=ff",
                    body=b"body",
                    headers={"X-More": "m"},
                    timeout_ms=1_000,
                )
                assert reply.status == 418 and reply.body == b"{}\nxx"
                assert reply.headers["x-mbx-used-weight-1m"] == "7"
                assert reply.headers["x-two"] == "a, b"
                offset = ClockOffset(clock)
                offset.learn(sent=reply.sent, received=reply.received, server_at=clock.now())
                assert offset.known
            assert server.requests == ["POST /api/v3/order?a=1&b=%20x&signature=ff HTTP/1.1"]
            said = server.headers[0]
            assert (said["x-key"], said["x-more"], said["content-length"]) == ("k", "m", "4")
            assert said["host"] == f"127.0.0.1:{server.port}"
            assert said["accept-encoding"] == "identity"
            assert server.bodies == [b"body"]

    run(main())


def test_one_connection_serves_one_request_after_another_for_long():
    async def main():
        async with HttpServer() as server:
            clock = HandClock()
            async with make(server, clock, limits=RestLimits(keep_alive_ms=600_000)) as rest:
                for n in range(20):
                    method = rest.write if n % 2 else rest.read
                    await method("POST", "/x", body=b"b" * n, timeout_ms=1_000)
                    clock.advance(60_000)
                assert len(server.callers) == 1
                clock.advance(600_000)
                await rest.read("GET", "/x", timeout_ms=1_000)
                assert len(server.callers) == 2, "older than keep_alive_ms"

    run(main())


def test_what_was_certainly_not_sent_is_unreachable(monkeypatch):
    async def main():
        async with HttpServer() as server:
            pass
        clock = HandClock()
        troubles = []
        async with make(server, clock, troubles=troubles) as rest:
            with pytest.raises(Unreachable, match="POST /order"):
                await impatient(rest, clock, rest.write, "POST", "/order", query="signature=secret")
            assert not troubles
            with pytest.raises(Unreachable) as failed:
                await impatient(rest, clock, rest.read, "GET", "/time", query="signature=secret")
            assert [t.kind for t in troubles] == [TroubleKind.READ] * 3, "read_attempts_max"
            assert "secret" not in str(failed.value) + str(troubles)

        async def no_name(*_, **__):
            raise sockets.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_name)
        async with make(server, clock, url="http://localhost:1") as rest:
            with pytest.raises(Unreachable, match="Name or service not known"):
                await rest.write("POST", "/order", timeout_ms=1_000)

    run(main())


def test_a_write_whose_answer_never_comes_is_unknown_and_was_sent_once():
    async def main():
        async with HttpServer(saying(None, OK)) as server:
            clock = HandClock()
            async with make(server, clock) as rest:
                with pytest.raises(OutcomeUnknown, match=r"rest: POST /order: Lost: closed"):
                    await impatient(rest, clock, rest.write, "POST", "/order", query="signature=s")
                assert len(server.requests) == 1
                reply = await rest.write("POST", "/order", timeout_ms=1_000)
                assert reply.body == b"ok" and len(server.requests) == 2

    run(main())


def test_a_read_whose_answer_never_comes_is_repeated_at_most_so_often():
    async def main():
        async with HttpServer(saying(None, None, OK)) as server:
            clock = HandClock()
            async with make(server, clock) as rest:
                reply = await impatient(rest, clock, rest.read, "GET", "/account")
                assert reply.body == b"ok" and len(server.requests) == 3
                server.answer = saying(None)
                with pytest.raises(Unreachable, match="closed by the server"):
                    await impatient(rest, clock, rest.read, "GET", "/account")
                assert len(server.requests) == 6

    run(main())


@pytest.mark.parametrize("status", [200, 400, 429, 500, 503])
def test_any_status_is_an_answer_and_nothing_is_repeated(status):
    async def main():
        answer = b"HTTP/1.1 %d x\r\nContent-Length: 6\r\n\r\n<html>" % status
        async with HttpServer(saying(answer)) as server:
            async with make(server, HandClock()) as rest:
                assert (await rest.read("GET", "/x", timeout_ms=1_000)).status == status
                assert (await rest.write("POST", "/x", timeout_ms=1_000)).status == status
            assert len(server.requests) == 2

    run(main())


@pytest.mark.parametrize(
    "bad",
    [
        b"<html>no status line</html>\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"\xff\xfe\x00",
    ],
    ids=["no status", "bad length", "bad chunk", "body too long", "head too long", "binary"],
)
def test_an_answer_that_breaks_the_protocol_or_its_bounds_is_no_answer(bad):
    async def main():
        async with HttpServer(saying(bad, OK)) as server:
            clock = HandClock()
            limits = RestLimits(body_bytes_max=1_000, head_bytes_max=10_000)
            async with make(server, clock, limits=limits) as rest:
                with pytest.raises(OutcomeUnknown):
                    await impatient(rest, clock, rest.write, "POST", "/order")
                assert (await rest.write("POST", "/order", timeout_ms=1_000)).body == b"ok"
                assert len(server.callers) == 2, "a broken connection is not used again"

    run(main())


def test_an_answer_that_is_cut_short_is_no_answer_but_one_that_ends_with_the_connection_is():
    async def main():
        async def cut(server, caller):
            length = b"Content-Length: 10\r\n" if len(server.requests) == 1 else b""
            caller.raw(b"HTTP/1.1 200 OK\r\n" + length + b"\r\nhalf")
            caller.writer.close()

        async with HttpServer(cut) as server:
            clock = HandClock()
            async with make(server, clock) as rest:
                with pytest.raises(OutcomeUnknown):
                    await impatient(rest, clock, rest.write, "POST", "/order")
                assert (await rest.write("POST", "/order", timeout_ms=1_000)).body == b"half"

    run(main())


def test_a_timeout_is_unknown_for_a_write_and_its_late_answer_meets_nobody_else():
    async def main():
        gate = asyncio.Event()

        async def late(server, caller):
            first = len(server.requests) == 1
            if first:
                await gate.wait()
            caller.raw(
                b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + (b"LATE" if first else b"mine")
            )

        async with HttpServer(late) as server:
            clock = HandClock()
            async with make(server, clock) as rest:
                asking = asyncio.ensure_future(rest.write("POST", "/order", timeout_ms=700))
                await until(lambda: server.requests)
                clock.advance(700)
                with pytest.raises(OutcomeUnknown, match="timeout_ms=700"):
                    await asking
                gate.set()
                reply = await rest.write("POST", "/order", timeout_ms=1_000)
                assert reply.body == b"mine" and len(server.callers) == 2

    run(main())


def test_a_timeout_is_unreachable_for_a_read():
    async def main():
        async def silent(_server, caller):
            await caller.reader.read()

        async with HttpServer(silent) as server:
            clock = HandClock()
            async with make(server, clock) as rest:
                with pytest.raises(Unreachable, match="timeout_ms=700 passed"):
                    await impatient(rest, clock, rest.read, "GET", "/x", timeout_ms=700)

    run(main())


def test_a_connection_that_the_server_closed_meanwhile_is_not_written_to():
    """The end lies in the kernel, unseen by the loop: a write on it would be lost and unknown."""

    async def main():
        listener = sockets.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        got = []

        async def serve_one():
            sock, _ = await loop.sock_accept(listener)
            got.append(await loop.sock_recv(sock, 65_536))
            await loop.sock_sendall(sock, OK)
            return sock

        async with make(None, HandClock(), url=url) as rest:
            serving = asyncio.ensure_future(serve_one())
            await rest.write("POST", "/first", timeout_ms=1_000)
            (await serving).close()
            serving = asyncio.ensure_future(serve_one())
            # No turn of the loop between the close and this write.
            assert (await rest.write("POST", "/second", timeout_ms=1_000)).status == 200
            (await serving).close()
        listener.close()
        assert len(got) == 2 and got[1].startswith(b"POST /second")

    run(main())


def test_an_answer_to_nothing_never_meets_the_next_request():
    async def main():
        async def twice(_server, caller):
            caller.raw(OK)
            caller.raw(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")

        async with HttpServer(twice) as server:
            async with make(server, HandClock()) as rest:
                for _ in range(5):
                    assert (await rest.write("POST", "/order", timeout_ms=1_000)).status == 200
                    await turns(3)
            assert len(server.requests) == 5

    run(main())


def test_a_connection_on_which_something_came_unasked_is_not_used_again():
    async def main():
        async with HttpServer() as server, make(server, HandClock()) as rest:
            await rest.write("POST", "/order", timeout_ms=1_000)
            server.callers[0].raw(b"HTTP/1.1 408 Request")
            await turns(20)
            assert (await rest.write("POST", "/order", timeout_ms=1_000)).status == 200
            assert len(server.callers) == 2

    run(main())


def test_a_server_that_wants_it_closed_gets_a_new_connection():
    async def main():
        answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
        async with HttpServer(saying(answer)) as server:
            async with make(server, HandClock()) as rest:
                for _ in range(3):
                    assert (await rest.write("POST", "/order", timeout_ms=1_000)).body == b"ok"
            assert len(server.callers) == 3

    run(main())


def test_who_stops_waiting_closes_the_connection():
    async def main():
        async def silent(_server, caller):
            await caller.reader.read()

        async with HttpServer(silent) as server, make(server, HandClock()) as rest:
            asking = asyncio.ensure_future(rest.write("POST", "/order", timeout_ms=60_000))
            await until(lambda: server.requests)
            asking.cancel()
            await asyncio.wait({asking})
            await until(lambda: server.callers[0].gone)
            server.answer = saying(OK)
            await rest.write("POST", "/order", timeout_ms=60_000)

    run(main())


def test_connections_are_bounded_and_who_waits_for_one_too_long_has_sent_nothing():
    async def main():
        gate = asyncio.Event()

        async def wait(_server, caller):
            await gate.wait()
            caller.raw(OK)

        async with HttpServer(wait) as server:
            clock = HandClock()
            async with make(server, clock, limits=RestLimits(connections_max=2)) as rest:
                asked = [
                    asyncio.ensure_future(rest.write("POST", "/order", timeout_ms=60_000))
                    for _ in range(3)
                ]
                await until(lambda: len(server.requests) == 2)
                with pytest.raises(Unreachable):
                    await impatient(rest, clock, rest.write, "POST", "/late", timeout_ms=500)
                gate.set()
                await asyncio.gather(*asked)
                assert len(server.callers) == 2 and len(server.requests) == 3

    run(main())


def test_an_unlawful_request_is_a_bug_that_shows_no_key():
    async def main():
        async with HttpServer() as server:
            async with make(server, HandClock()) as rest:
                with pytest.raises(ValueError, match="not a lawful") as bug:
                    await rest.write(
                        "POST", "/x", headers={"X-Key": "sec\nret: 1"}, timeout_ms=1_000
                    )
                assert "ret" not in str(bug.value)
                with pytest.raises(ValueError, match="not a lawful"):
                    await rest.read("GET", "/x y", timeout_ms=1_000)
                await rest.read("GET", "/x", timeout_ms=1_000)
            assert len(server.requests) == 1

    run(main())


def test_the_connection_is_kept_warm_and_a_failure_to_is_only_told():
    async def main():
        async with HttpServer(saying(None, None, None, OK)) as server:
            clock = HandClock()
            troubles = []
            limits = RestLimits(warm_every_ms=20_000)
            rest = make(server, clock, limits=limits, warm_path="/ping", troubles=troubles)
            async with rest:
                await turns()
                assert not server.requests
                await until_after(clock, lambda: len(server.requests) == 3, ms=1_000)
                await until_after(clock, lambda: len(server.requests) >= 6, ms=5_000)
                assert set(server.requests) == {"GET /ping HTTP/1.1"} and len(troubles) == 3
                await until(lambda: rest._idle)
                callers = len(server.callers)
                await rest.write("POST", "/order", timeout_ms=1_000)
                assert len(server.callers) == callers, "the order found an open connection"

    run(main())


@pytest.fixture(scope="module")
def certificates():
    """Return server contexts: one for localhost, one for another name; and the client's trust."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def issue(name, path):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        names = [x509.DNSName(name)]
        if name == "localhost":
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    return issue


def test_over_tls_only_who_proves_its_name_gets_a_request(certificates, tmp_path):
    async def main():
        server_side = certificates("localhost", tmp_path / "localhost.pem")
        foreign = certificates("venue.example", tmp_path / "foreign.pem")
        trust = ssl.create_default_context(cafile=str(tmp_path / "localhost.pem"))
        trust.load_verify_locations(str(tmp_path / "foreign.pem"))
        async with HttpServer(tls=server_side) as server:
            async with make(server, HandClock(), tls=trust) as rest:
                for _ in range(3):
                    reply = await rest.write("POST", "/order", body=b"x" * 100, timeout_ms=5_000)
                    assert reply.body == b"ok"
                assert len(server.callers) == 1
            async with make(server, HandClock()) as rest:
                with pytest.raises(Unreachable, match="certificate verify failed"):
                    await rest.write("POST", "/order", timeout_ms=5_000)
            assert len(server.requests) == 3
        async with HttpServer(tls=foreign) as server, make(server, HandClock(), tls=trust) as rest:
            with pytest.raises(Unreachable, match="certificate verify failed"):
                await rest.write("POST", "/order", timeout_ms=5_000)
            assert not server.requests

    run(main(), [])


def test_a_socket_over_tls_is_ready_and_a_stranger_is_not_spoken_to(certificates, tmp_path):
    from socket_desk import Desk
    from ws_server import WsServer

    async def main():
        context = certificates("localhost", tmp_path / "localhost.pem")
        trust = ssl.create_default_context(cafile=str(tmp_path / "localhost.pem"))
        async with WsServer(tls=context) as server:
            desk = Desk(server, HandClock(), tls=trust)
            async with desk.socket as socket:
                await until(lambda: socket.ready)
                socket.send(b"order")
                await until(lambda: server.peers[0].got == [b"order"])
                server.peers[0].text("ack")
                await until(lambda: desk.frames == [b"ack"])
            stranger = Desk(server, HandClock())
            async with stranger.socket:
                await until(lambda: stranger.troubles)
                assert "CERTIFICATE_VERIFY_FAILED" in stranger.troubles[0].text
            assert len(server.peers) == 1

    run(main(), [])


@pytest.mark.parametrize(
    "url", ["http://venue.example", "ftp://127.0.0.1", "https://", "http://a@127.0.0.1", "http://["]
)
def test_an_address_that_is_not_safe_is_refused(url):
    with pytest.raises(ConfigError):
        Rest(url, name="rest", clock=HandClock(), on_trouble=print)


@pytest.mark.parametrize(("named", "mode"), [(False, ssl.CERT_REQUIRED), (True, ssl.CERT_OPTIONAL)])
def test_verification_cannot_be_switched_off(named, mode):
    blind = ssl.create_default_context()
    blind.check_hostname, blind.verify_mode = named, mode
    with pytest.raises(ConfigError, match="cannot be switched off"):
        Rest("https://venue.example", name="r", clock=HandClock(), on_trouble=print, tls=blind)
