"""nginx's signed links: to the byte as its documentation has them, and as nginx itself takes them."""

from __future__ import annotations

import base64
import hashlib
import http.client
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ports import free_port
from tierkit.codecs.secure_link import SecretLink, SecureLink, expression_problem
from tierkit.codecs.signing import Unsigned
from tierkit.errors import LocalProtocolError

NOW = 1_764_000_000
LINK = SecureLink("secret")
VALUE, END = "_e4Nc3iduzkWRm01TBBNYw", "2147483647"


def digest(text: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.md5(text).digest()).decode().rstrip("=")


def test_the_example_of_nginxs_documentation() -> None:
    # echo -n '2147483647/s/link127.0.0.1 secret' | openssl md5 -binary | openssl base64 | tr +/ -_ | tr -d =
    assert LINK.sign("/s/link", 2147483647, "127.0.0.1") == VALUE
    assert LINK.query("/s/link", 2147483647, "127.0.0.1") == f"md5={VALUE}&expires={END}"
    LINK.verify(VALUE, END, "/s/link", 2147483640, "127.0.0.1")
    LINK.verify(VALUE + "==", END, "/s/link?md5=x", 2147483640, "127.0.0.1")


@pytest.mark.parametrize(
    ("value", "expires", "path", "address", "reason"),
    [
        (VALUE, END, "/s/other", "127.0.0.1", "not that of this path"),
        (VALUE, END, "/s/link", "127.0.0.2", "not that of this path"),
        (VALUE, "2147483646", "/s/link", "127.0.0.1", "not that of this path"),
        (VALUE[:-1] + "x", END, "/s/link", "127.0.0.1", "not that of this path"),
        ("é", END, "/s/link", "127.0.0.1", "not that of this path"),
        ("\ud800", END, "/s/\ud800", "127.0.0.1", "not that of this path"),
        ("", END, "/s/link", "127.0.0.1", "there is no md5"),
        (VALUE, "", "/s/link", "127.0.0.1", "there is no md5 or no expires"),
        (VALUE, "+2147483647", "/s/link", "127.0.0.1", "no number"),
        (VALUE, "٣", "/s/link", "127.0.0.1", "no number"),
        (VALUE, "2147483637", "/s/link", "127.0.0.1", "it ended 3 s ago"),
        (VALUE, "999999999999", "/s/link", "127.0.0.1", "too far in the future"),
        (VALUE, END, "/s/../link", "127.0.0.1", "dot segments"),
    ],
)
def test_what_is_refused(value: str, expires: str, path: str, address: str, reason: str) -> None:
    with pytest.raises(Unsigned, match=reason) as caught:
        LINK.verify(value, expires, path, 2147483640, address)
    assert "secret" not in str(caught.value)


def test_clocks_may_differ() -> None:
    value = LINK.sign("/a", NOW)
    LINK.verify(value, str(NOW), "/a", NOW + 5, slack=5)
    with pytest.raises(Unsigned, match="it ended 6 s ago"):
        LINK.verify(value, str(NOW), "/a", NOW + 6, slack=5)


def test_an_expression_of_ones_own() -> None:
    link = SecureLink("$uri", "$secret:${uri}:$secure_link_expires:")
    # What stands in a secret is no variable.
    assert link.sign("/a%20b?c", NOW) == digest(f"$uri:/a b:{NOW}:".encode())
    link.verify(link.sign("/a%20b", NOW), str(NOW), "/a%20b", NOW)


def test_the_path_is_the_one_that_nginx_sees() -> None:
    link = SecureLink("s", "$uri$secret")
    assert link.sign("/a//b%2F/c", NOW) == digest(b"/a/b/cs")
    assert link.sign("/%ff", NOW) == digest(b"/\xffs")
    assert link.sign("/%ff", NOW) != link.sign("/%fe", NOW)


def test_links_without_an_end() -> None:
    link = SecureLink("s", "$uri $secret", ends=False)
    assert link.query("/a", NOW) == f"md5={digest(b'/a s')}"
    link.verify(digest(b"/a s"), "", "/a", NOW)
    with pytest.raises(Unsigned, match=r"no md5 in the query\Z"):
        link.verify("", "", "/a", NOW)


@pytest.mark.parametrize(
    ("expression", "ends", "reason"),
    [
        ("$secure_link_expires$uri$remote_addr $secret", True, ""),
        ("${secure_link_expires}${uri}x$secret", True, ""),
        ("$uri $secret", False, ""),
        ("$uri $secret", True, "$secure_link_expires is missing"),
        ("$secure_link_expires$uri", True, "$secret is missing"),
        ("$secure_link_expires$secret", True, "$uri is missing"),
        ("$secure_link_expires$uri$host $secret", True, "$host is not known here"),
        ("$secure_link_expires$uri_x $secret", True, "$uri_x is not known here"),
    ],
)
def test_expressions_that_would_not_hold_are_told(expression: str, ends: bool, reason: str) -> None:
    told = expression_problem(expression, ends=ends)
    assert reason in told
    assert bool(told) is bool(reason)


def test_the_example_of_secure_link_secret() -> None:
    # echo -n 'linksecret' | openssl md5 -hex
    path = SecretLink("secret").sign("/p/", "link")
    assert path == "/p/5e814704a28d9bc1914ff19fa0c4a00a/link"
    assert SecretLink("secret").verify(path) == "link"
    assert SecretLink("secret").verify(path.replace("5e81", "5E81")) == "link"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/p/5e814704a28d9bc1914ff19fa0c4a00b/link", "not that of this link"),
        ("/p/5e814704a28d9bc1914ff19fa0c4a00a/other", "not that of this link"),
        ("/p/5e814704a28d9bc1914ff19fa0c4a00a/link?x", "not that of this link"),
        ("/p/5e814704a28d9bc1914ff19fa0c4a00a/lin%6B", "not that of this link"),
        ("/?/5e814704a28d9bc1914ff19fa0c4a00a/link", "no hash"),
        ("/p/5e814704a28d9bc1914ff19fa0c4a00a/", "no hash"),
        ("/5e814704a28d9bc1914ff19fa0c4a00a/link", "no hash"),
        ("/p/q/5e814704a28d9bc1914ff19fa0c4a00a/link", "no hash"),
        ("/p/5e814704a28d9bc1914ff19fa0c4a00a/../link", "dot segments"),
        ("", "dot segments"),
    ],
)
def test_what_is_refused_of_secret_links(path: str, reason: str) -> None:
    with pytest.raises(Unsigned, match=reason) as caught:
        SecretLink("secret").verify(path)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("prefix", "link"), [("/", "a"), ("/p", "a"), ("/p/q/", "a"), ("/p/", ""), ("/p?/", "a")])
def test_links_that_nginx_would_not_understand(prefix: str, link: str) -> None:
    with pytest.raises(LocalProtocolError):
        SecretLink("s").sign(prefix, link)


@given(st.text(max_size=40), st.text(max_size=15), st.text(max_size=40), st.text(max_size=20))
def test_anything_is_good_or_refused(value: str, expires: str, path: str, address: str) -> None:
    with pytest.raises(Unsigned):
        LINK.verify(value, expires, path, NOW, address)
    with pytest.raises(Unsigned):
        SecretLink("s").verify(path)


@given(st.integers(0, 21), st.integers(1, 127))
def test_any_changed_byte_breaks_it(place: int, change: int) -> None:
    changed = VALUE[:place] + chr(ord(VALUE[place]) ^ change) + VALUE[place + 1 :]
    with pytest.raises(Unsigned):
        LINK.verify(changed, END, "/s/link", 2147483640, "127.0.0.1")


# --- nginx itself --------------------------------------------------------------------------------

CONFIGURATION = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            secure_link $arg_md5,$arg_expires;
            secure_link_md5 "$secure_link_expires$uri$remote_addr hunter2";
            if ($secure_link = "") {{ return 403; }}
            if ($secure_link = "0") {{ return 410; }}
            return 200 "$uri";
        }}
        location /ever/ {{
            secure_link $arg_md5;
            secure_link_md5 "hunter2$uri";
            if ($secure_link = "") {{ return 403; }}
            return 200 "$uri";
        }}
        location /p/ {{
            secure_link_secret hunter2;
            if ($secure_link = "") {{ return 403; }}
            return 200 "$secure_link";
        }}
    }}
}}
"""
ODD_PATHS = ["/live/s/x.ts", "/a%20b/%C3%A9.ts", "/%ff%FE.ts", "/a//b%2f/c", "/a+b&c=d/~x;y", "/a%25b%3Fc%23d"]


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("nginx")
    port = free_port()
    (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder, port=port))
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def ask(port: int, target: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.real("nginx")
@pytest.mark.parametrize("path", ODD_PATHS)
def test_nginx_takes_what_is_signed_here_and_nothing_else(nginx: int, path: str) -> None:
    link = SecureLink("hunter2", "$secure_link_expires$uri$remote_addr $secret")
    end = int(time.time()) + 1000
    query = link.query(path, end, "127.0.0.1")
    assert ask(nginx, f"{path}?{query}")[0] == 200
    link.verify(query[4:26], str(end), path, end - 1000, "127.0.0.1")
    assert ask(nginx, f"{path}?{link.query(path, end, '127.0.0.2')}")[0] == 403
    assert ask(nginx, f"{path}x?{query}")[0] == 403
    assert ask(nginx, f"{path}?{query}1")[0] == 403
    assert ask(nginx, f"{path}?{link.query(path, 1000, '127.0.0.1')}")[0] == 410


@pytest.mark.real("nginx")
def test_nginx_takes_links_without_an_end(nginx: int) -> None:
    link = SecureLink("hunter2", "$secret$uri", ends=False)
    assert ask(nginx, f"/ever/x.ts?{link.query('/ever/x.ts', 0)}")[0] == 200
    assert ask(nginx, f"/ever/y.ts?{link.query('/ever/x.ts', 0)}")[0] == 403


@pytest.mark.real("nginx")
@pytest.mark.parametrize("link", ["link", "live/s/x.ts", "a%20b/%ff.ts", "a//b", "x.ts?a=%20b"])
def test_nginx_takes_secret_links(nginx: int, link: str) -> None:
    path = SecretLink("hunter2").sign("/p/", link)
    assert ask(nginx, path) == (200, link.encode())
    assert SecretLink("hunter2").verify(path) == link
    assert ask(nginx, path + "x")[0] == 403
    assert ask(nginx, SecretLink("other").sign("/p/", link))[0] == 403
