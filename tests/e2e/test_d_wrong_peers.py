"""Whoever is not a member gets nowhere, and it is told who and why."""

import os
import shutil
import socket
import ssl
import subprocess
import time

import lib
from lib import check, equal, in_sync, in_touch, until


def certificate(lab, name):
    """A self-signed certificate that is nobody's."""
    key, crt = lab.path(name + ".key"), lab.path(name + ".crt")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes",
                    "-keyout", key, "-out", crt, "-days", "30",
                    "-subj", f"/CN={name}"], check=True, capture_output=True)
    return crt, key


def client(cert=None, version=ssl.TLSVersion.TLSv1_3, alpn="symbolon/1"):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    c.minimum_version = c.maximum_version = version
    if cert:
        c.load_cert_chain(*cert)
    if alpn:
        c.set_alpn_protocols([alpn])
    return c


def talk(node, context, data=b"", seconds=20):
    """What the node sends back until it closes: (bytes, error)."""
    got = b""
    try:
        with socket.create_connection(("127.0.0.1", node.port), seconds) as raw:
            raw.settimeout(seconds)
            with context.wrap_socket(raw) as s:
                if data:
                    s.sendall(data)
                while True:
                    more = s.recv(65536)
                    if not more:
                        return got, None
                    got += more
    except (OSError, ssl.SSLError) as e:
        check(not isinstance(e, socket.timeout), "the node closes in time", e)
        return got, e


def own_tls(node):
    keys = os.path.join(node.dir, "keys")
    return os.path.join(keys, "tls.crt"), os.path.join(keys, "tls.key")


def test_noise_on_the_port_harms_nobody(lab):
    a, b = nodes = lab.alliance("dtu.dk", "hku.hk")
    for data in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" * 50,
                 bytes(range(256)) * 40, b"\x16\x03\x01\x00\x05hello"):
        with socket.create_connection(("127.0.0.1", a.port), 5) as s:
            s.settimeout(20)
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                while s.recv(4096):
                    pass
            except OSError:
                pass
    a.ok("import", "offers", lib.ndjson(lab, "o", [lib.offer(1)]), "--format",
         "ndjson", "--wait", "1")
    in_sync(nodes)


def test_many_silent_connections_do_not_lock_partners_out(lab):
    a, b = nodes = lab.alliance("dtu.dk", "hku.hk")
    b.stop()
    held = []
    try:
        for _ in range(200):
            s = socket.create_connection(("127.0.0.1", a.port), 5)
            held.append(s)
        b.start()
        in_touch(nodes)
        # Those who say nothing are dropped after ten seconds.
        held[0].settimeout(20)
        try:
            check(held[0].recv(1) == b"", "dropped")
        except ConnectionError:
            pass
    finally:
        for s in held:
            s.close()


def test_old_tls_no_certificate_and_other_protocols_are_refused(lab):
    a, b = lab.alliance("dtu.dk", "hku.hk")
    stranger = certificate(lab, "stranger")
    got, error = talk(a, client(stranger, ssl.TLSVersion.TLSv1_2))
    check(got == b"" and error, "TLS 1.2", got, error)
    got, error = talk(a, client(None), b"\0\0\0\1\x90")
    check(got == b"" and error, "no certificate", got, error)
    got, error = talk(a, client(stranger, alpn="h2"), b"\0\0\0\1\x90")
    check(got == b"" and error, "another protocol", got, error)
    in_touch([a, b])


def test_a_stranger_is_refused_and_listed(lab):
    a, b = lab.alliance("dtu.dk", "hku.hk")
    stranger = certificate(lab, "stranger")
    talk(a, client(stranger), b"\0\0\0\1\x90")
    refused = until(lambda: a.status()["refused"], "the stranger is listed")
    equal(refused[0]["code"], "pin")
    check("P-STRANGER-11" in a.codes(), "the health names it", a.status())
    check(len(refused[0]["key"]) >= 16, "with its key", refused)
    in_touch([a, b])


def test_another_key_on_a_partners_address_is_not_the_partner(lab):
    a, b = lab.alliance("dtu.dk", "hku.hk")
    in_sync([a, b])
    b.stop()
    twin = lab.node("hku.hk", directory=lab.path("twin"), port=b.port)
    twin.init()
    twin.start()
    until(lambda: a.peers()["hku.hk"]["code"] == "P-PIN-05", "pin", 60)
    a.run("peer", "test", "hku.hk").expect(lib.NOT_ALLOWED, "P-PIN-05")
    check(a.peers()["hku.hk"]["state"] != "up", "not up")
    twin.stop()
    b.start()
    in_touch([a, b], 90)


def test_another_alliance_is_another_world(lab):
    a, b = lab.node("dtu.dk"), lab.node("hku.hk")
    for n in (a, b):
        n.init()
    one = lab.found([a, b], "One")
    shutil.copy(one, lab.path("one"))
    two = lab.found([a, b], "Two")
    a.ok("roster", "install", lab.path("one"))
    b.ok("roster", "install", two)
    a.start()
    b.start()
    for n, other in ((a, b), (b, a)):
        until(lambda n=n, other=other:
              n.peers()[other.member]["code"] == "P-ALLIANCE-08",
              f"{n.member} sees another alliance", 60)
    a.run("peer", "test", "hku.hk").expect(lib.NOT_ALLOWED, "P-ALLIANCE-08")


def test_a_partner_that_breaks_the_protocol_is_cut_off(lab):
    """Somebody has a partner's TLS key and talks nonsense."""
    a, b = lab.alliance("dtu.dk", "hku.hk")
    a.ok("import", "offers", lib.ndjson(lab, "o.ndjson", [
        lib.offer(i) for i in range(100)]), "--wait", "1")
    b.kill()
    context = client(own_tls(b))
    cases = [
        b"\xff\xff\xff\xff" + b"x" * 100,       # 4 GiB
        b"\x00\x00\x10\x01" + b"\x90" * 4097,   # over the limit before HELLO
        b"\x00\x00\x00\x00",                    # empty
        b"\x00\x00\x00\x01\xc0",                # nil
        b"\x00\x00\x00\x01\x90",                # no type
        b"\x00\x00\x00\x02\x91\x01",            # HELLO without fields
        b"\x00\x00\x00\x02\x91\x04",            # CHUNK first
        b"\x00\x00\x00\x06\xdd\xff\xff\xff\xff\xc0",
        bytes(range(256)) * 16,
    ]
    for data in cases:
        start = time.monotonic()
        talk(a, context, data)
        check(time.monotonic() - start < 15, "closed soon", data[:16])
    until(lambda: a.peers()["hku.hk"]["code"] == "P-PROTO-07",
          "the status says what is wrong", 20)
    before = a.head()
    b.start()
    in_touch([a, b], 90)
    in_sync([a, b])
    equal(a.head(), before, "the head")
    lib.nothing_frozen([a, b])


def test_an_address_where_nobody_listens_is_told(lab):
    a, b = lab.alliance("dtu.dk", "hku.hk")
    b.stop()
    until(lambda: a.peers()["hku.hk"]["code"] == "P-TCP-02", "refused", 60)
    a.run("peer", "test", "hku.hk").expect(lib.UNREACHABLE, "P-TCP-02")
    doc = a.run("peer", "test", "hku.hk", "--json").json()
    equal(doc["ok"], False)
    last = doc["steps"][-1]
    check(not last["ok"] and last["side"] in ("theirs", "ours") and
          last["cure"], "whose it is and the cure", doc)


def test_a_node_does_not_test_itself(lab):
    a, b = lab.alliance("dtu.dk", "hku.hk")
    a.run("peer", "test", "dtu.dk").expect(lib.USAGE, err="dtu.dk is this node")
    in_touch([a, b])
    equal(a.status()["refused"], [], "strangers")


def test_who_does_not_know_our_key_is_told_apart_from_silence(lab):
    """The partner has an older card of ours: its node refuses our key."""
    a, b = lab.alliance("dtu.dk", "hku.hk")
    a.stop()
    twin = lab.node("dtu.dk", directory=lab.path("twin"))
    twin.init()
    for name in ("tls.key", "tls.crt"):
        shutil.copy(os.path.join(twin.dir, "keys", name),
                    os.path.join(a.dir, "keys", name))
    os.rename(os.path.join(a.dir, "keys", "governance.key"),
              lab.path("governance.key"))
    a.start()
    a.run("peer", "test", "hku.hk").expect(lib.NOT_ALLOWED, "P-TLS-04")
