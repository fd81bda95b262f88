"""The door for entered URLs: a corpus of tricks, each refused with nothing sent, and real sockets for what is allowed."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from pathlib import Path

import pytest

from suture.connectors import networks
from suture.connectors.allowed import PURPOSES, Allowed
from suture.connectors.outbound import Outbound
from suture.connectors.target import target
from suture.errors import Invalid, OutboundRefused, SendAmbiguous, SendFailed, SendUnavailable, SutureError, Unstartable
from tests import docs
from tests.connectors.site import Got, Say, Site
from tests.connectors.test_mllp import certificate

EVERYTHING = tuple(PURPOSES)


class Names:
    """A resolver that says what it is told, a list of answers per name, and counts how often it was asked."""

    def __init__(self, **said: list[str]) -> None:
        self.said = {name.replace("_", "."): answers for name, answers in said.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        return self.said.get(host, ["127.0.0.1"])


def door(*listed: str, public: tuple[str, ...] = (), **more: object) -> Outbound:
    return Outbound(Allowed(listed, public), **{"resolve": Names(), **more})  # type: ignore[arg-type]


# What no rule may open: read one way by one reader and another way by the next.
UNREADABLE = """
https://good.example@evil.example/
https://good.example:443@evil.example/
https://user:secret@good.example/
https://good.example%40evil.example/
https://good.example\\@evil.example/
https://good.example\\.evil.example/
https:\\\\good.example/
https:/good.example/
https:good.example
https:///good.example/
https://
https://:443/
https://good.example:/
https://good.example:0/
https://good.example:65536/
https://good.example:+443/
https://good.example:443:444/
https://good.example:80a/
https://good.example./
https://.good.example/
https://good..example/
https://-good.example/
https://good.example#@evil.example/
https://good.example/#fragment
http://127.1/
http://127.0.1/
http://2130706433/
http://017700000001/
http://0x7f000001/
http://0x7f.0.0.1/
http://0177.0.0.1/
http://127.0.0.01/
http://0x7f.1/
http://127.0.0.1./
http://256.1.1.1/
http://1.2.3.4.5/
http://127.0.0.0x1/
http://good.example.1/
http://①②⑦.⓪.⓪.①/
https://good。example/
https://good．example/
https://good｡example/
https://göod.example/
https://ｇｏｏｄ.example/
https://good.example\u200b/
https://good.example\u00ad/
http://[::1/
http://::1/
http://[fe80::1%25eth0]/
http://[fe80::1%eth0]/
http://[::ffff:127.0.0.1/
http://[::1]evil.example/
http://[v1.x]/
http://[1:2:3]/
file:///etc/passwd
gopher://good.example:70/_x
ftp://good.example/
dict://good.example:11211/
ldap://good.example/
data:text/plain,x
javascript:alert(1)
jar:https://good.example!/
https://good.example/\r\nHost: evil.example
https://good.example\r\n.evil.example/
https://good.example /
https://good.example\t/
 https://good.example/
https://good.example/\x00
https://good.example/é
//good.example/
good.example
*.example
https://*/
https://good.example,evil.example/
https://good$example/
https://(good.example)/
https://good%2eexample/
https://good.example%00.evil.example/
""".strip("\n").split("\n")


def decoded(text: str) -> str:
    """A line of the corpus with its escapes read."""
    for written, meant in (("\\r", "\r"), ("\\n", "\n"), ("\\t", "\t"), ("\\x00", "\0")):
        text = text.replace(written, meant)
    return text.replace("\\u200b", "\u200b").replace("\\u00ad", "\u00ad").replace("\\\\", "\\")


@pytest.mark.parametrize("line", UNREADABLE)
async def test_a_url_with_two_readings_is_no_url(line: str) -> None:
    names = Names()
    outside = door("https://good.example", "http://127.0.0.1", "http://[::1]", public=EVERYTHING, resolve=names)
    with pytest.raises(Invalid, match="the URL") as error:
        await outside.fetch(decoded(line), purpose="webhook")
    assert error.value.status == 400
    assert names.asked == []


# What can be read, and is not good.example on the list.
NOT_LISTED = [
    "https://evil.example/",
    "http://good.example/",
    "https://good.example:444/",
    "https://good.example.evil.example/",
    "https://evilgood.example/",
    "https://xgood.example/",
    "https://good.example-evil.example/",
    "https://example/",
    "https://sub.good.example/",
    "https://part.example/",
    "https://notpart.example/",
    "https://part.example.evil.example/",
    "http://a.part.example/",
    "https://a.part.example:8443/",
    "https://xn--good-example.example/",
    "https://evil.example/https://good.example/",
    "https://evil.example/?https://good.example/",
    "http://10.0.0.6:8080/",
    "https://10.0.0.5:8080/",
    "http://127.0.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]/",
    "http://localhost/",
]


@pytest.mark.parametrize("url", NOT_LISTED)
async def test_only_listed_origins_are_contacted(url: str) -> None:
    names = Names()
    outside = door("https://good.example", "*.part.example", "http://10.0.0.5:8080", resolve=names)
    with pytest.raises(OutboundRefused, match="is not on the list") as error:
        await outside.fetch(url, purpose="jwks")
    assert error.value.status == 502
    assert names.asked == []


# Every way a name or a literal leads somewhere that is not the public internet.
NOT_PUBLIC = ["0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "100::1", "2001::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::1", "2002:a00:1::1", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1"]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_a_public_name_leads_nowhere_else(address: str) -> None:
    outside = door(public=("webhook",), resolve=Names(hook_example=[address]))
    with pytest.raises(OutboundRefused, match="leads to"):
        await outside.fetch("https://hook.example/in", purpose="webhook", method="POST", content=b"{}")


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_a_literal_is_judged_when_it_is_entered(address: str) -> None:
    outside = door(public=("webhook",))
    with pytest.raises(OutboundRefused, match="leads to"):
        outside.check(f"https://{f'[{address}]' if ':' in address else address}/", "webhook")


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"]
)
def test_public_addresses_are_public(address: str) -> None:
    found = networks.read(address)
    assert found is not None
    assert networks.kind(found) == networks.PUBLIC
    Allowed((), ("jwks",)).permit(target(f"https://{f'[{address}]' if ':' in address else address}/"), "jwks")


async def test_one_bad_address_among_good_ones_refuses_the_name() -> None:
    outside = door(public=("webhook",), resolve=Names(hook_example=["8.8.8.8", "10.0.0.1"]))
    with pytest.raises(OutboundRefused, match=r"hook\.example leads to a private network"):
        await outside.fetch("https://hook.example/", purpose="webhook")


@pytest.mark.parametrize(
    "url", ["http://hook.example/", "https://hook.example:8443/", "https://hook/", "https://localhost/"]
)
async def test_public_means_https_on_its_port_and_a_whole_name(url: str) -> None:
    with pytest.raises(OutboundRefused, match="is not a public https address on port 443"):
        await door(public=("webhook",)).fetch(url, purpose="webhook")


async def test_each_purpose_is_opened_by_its_name() -> None:
    outside = door(public=("jwks",))
    outside.check("https://keys.example/jwks.json", "jwks")
    with pytest.raises(OutboundRefused, match="is not on the list"):
        outside.check("https://keys.example/jwks.json", "webhook")


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "::ffff:127.0.0.1", "224.0.0.1", "fd00:ec2::254", "0.0.0.0"]
)
async def test_a_listed_name_never_leads_to_metadata_or_link_local(address: str) -> None:
    outside = door("http://ehr.example:8080", resolve=Names(ehr_example=[address]))
    with pytest.raises(OutboundRefused, match="leads to an address that is no other server's"):
        await outside.fetch("http://ehr.example:8080/", purpose="gateway")


async def test_a_wildcard_never_leads_into_the_house() -> None:
    outside = door("*.part.example", resolve=Names(a_part_example=["127.0.0.1"]))
    with pytest.raises(OutboundRefused, match=r"a\.part\.example leads to a private network"):
        await outside.fetch("https://a.part.example/", purpose="webhook")


async def test_a_listed_name_may_lead_into_the_house_and_is_resolved_once() -> None:
    async with Site(lambda got: Say(200, {"ok": True})) as site:
        names = Names(ehr_example=["127.0.0.1"])
        outside = door(f"http://ehr.example:{site.port}", resolve=names)
        answer = await outside.fetch(f"http://EHR.example:{site.port}/r4?a=1", purpose="gateway")
        await outside.close()
    assert (answer.status, answer.body) == (200, b'{"ok": true}')
    assert (site.got[0].target, site.got[0].headers["host"]) == ("/r4?a=1", f"ehr.example:{site.port}")
    assert names.asked == ["ehr.example"]


async def test_a_name_that_changes_its_mind_is_asked_once_for_each_connection() -> None:
    """DNS rebinding: the second answer would be another machine; the socket goes to the first, judged one."""
    async with Site(lambda got: Say(200, {})) as site:
        asked: list[str] = []

        async def rebinding(host: str) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

        outside = door(f"http://ehr.example:{site.port}", resolve=rebinding)
        for _ in range(3):
            await outside.fetch(f"http://ehr.example:{site.port}/", purpose="gateway")
        await outside.close()
        with pytest.raises(OutboundRefused, match="leads to"):
            await door(f"http://ehr.example:{site.port}", resolve=rebinding).fetch(
                f"http://ehr.example:{site.port}/", purpose="gateway"
            )
    assert (len(site.got), asked) == (3, ["ehr.example", "ehr.example"])


async def test_the_certificate_is_checked_for_the_name_not_the_address(tmp_path: Path) -> None:
    file, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    shown: list[str | None] = []
    context.sni_callback = lambda _, name, __: shown.append(name)
    async with Site(lambda got: Say(200, {}), context) as site:
        listed = (f"https://localhost:{site.port}", f"https://other.example:{site.port}")
        outside = door(*listed, authorities=str(file))
        assert (await outside.fetch(f"https://localhost:{site.port}/", purpose="openid")).status == 200
        with pytest.raises(SendUnavailable, match="cannot be reached"):
            await outside.fetch(f"https://other.example:{site.port}/", purpose="openid")
        await outside.close()
    assert shown == ["localhost", "other.example"]
    assert len(site.got) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_nobody_follows_it(status: int) -> None:
    async with (
        Site(lambda got: Say(200, {})) as other,
        Site(lambda got: Say(status, None, {"location": f"{other.url}/stolen"})) as site,
    ):
        outside = door(site.url, other.url)
        sent = {"Authorization": "Bearer key", "Cookie": "a=b"}
        answer = await outside.fetch(site.url + "/x", purpose="webhook", headers=sent)
        await outside.close()
    assert (answer.status, answer.headers["location"]) == (status, f"{other.url}/stolen")
    assert (len(site.got), other.got) == (1, [])


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Site(lambda got: Say(200, {})) as proxy, Site(lambda got: Say(200, {})) as site:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("SSLKEYLOGFILE", "")
        outside = door(site.url)
        await outside.fetch(site.url, purpose="webhook")
        await outside.close()
    assert (len(site.got), proxy.got) == (1, [])


@pytest.mark.parametrize("headers", [{"X-A": "1\r\nX-B: 2"}, {"X-A\r\nX-B": "1"}, {"X A": "1"}, {"": "1"}])
async def test_no_header_smuggles_another_one(headers: dict[str, str]) -> None:
    async with Site(lambda got: Say()) as site:
        with pytest.raises(Invalid, match="line break or a forbidden character"):
            await door(site.url).fetch(site.url, purpose="webhook", headers=headers)
    assert site.got == []


async def test_the_caller_sets_neither_host_nor_framing() -> None:
    async with Site(lambda got: Say()) as site:
        outside = door(site.url)
        sent = {"Host": "evil.example", "Transfer-Encoding": "chunked", "Content-Length": "999", "X-Kept": "1"}
        await outside.fetch(site.url, purpose="webhook", method="POST", headers=sent, content=b"abc")
        await outside.close()
    got = site.got[0]
    assert (got.headers["host"], got.headers["content-length"], got.headers["x-kept"]) == (
        f"127.0.0.1:{site.port}",
        "3",
        "1",
    )
    assert "transfer-encoding" not in got.headers


async def test_an_answer_is_read_up_to_the_limit() -> None:
    async with Site(lambda got: Say(200, b"x" * 5000)) as site:
        outside = door(site.url)
        assert len((await outside.fetch(site.url, purpose="jwks", most=5000)).body) == 5000
        with pytest.raises(SendFailed, match="larger than allowed"):
            await outside.fetch(site.url, purpose="jwks", most=4999)
        await outside.close()


async def test_a_small_packet_does_not_become_a_flood() -> None:
    packed = gzip.compress(b"\0" * 50_000_000)
    async with Site(lambda got: Say(200, packed, {"content-encoding": "gzip"})) as site:
        outside = door(site.url)
        with pytest.raises(SendFailed, match="larger than allowed"):
            await outside.fetch(site.url, purpose="jwks", most=100_000)
        await outside.close()
    assert len(packed) < 100_000


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "x"])
async def test_packings_nobody_asked_for_are_refused(encoding: str) -> None:
    async with Site(lambda got: Say(200, b"x", {"content-encoding": encoding})) as site:
        outside = door(site.url)
        with pytest.raises(SendFailed, match="packed in a way nobody asked for"):
            await outside.fetch(site.url, purpose="jwks")
        await outside.close()
    assert site.got[0].headers["accept-encoding"] == "gzip, deflate"


async def test_a_packed_answer_is_unpacked_whole() -> None:
    body = bytes(range(256)) * 2000
    async with Site(lambda got: Say(200, gzip.compress(body), {"content-encoding": "gzip"})) as site:
        outside = door(site.url)
        assert (await outside.fetch(site.url, purpose="jwks")).body == body
        await outside.close()


async def test_a_slow_answer_ends_in_time_and_says_whether_it_may_be_sent_again() -> None:
    async def slow(got: Got) -> Say:
        await asyncio.sleep(30)
        return Say()

    async with Site(slow) as site:
        outside = door(site.url, timeout=0.1)
        with pytest.raises(SendUnavailable, match="no answer from"):
            await outside.fetch(site.url, purpose="cds")
        with pytest.raises(SendAmbiguous, match="no answer from"):
            await outside.fetch(site.url, purpose="cds", method="POST", content=b"{}")
        await outside.close()


async def test_a_slow_origin_holds_up_itself_only() -> None:
    waiting, full = asyncio.Event(), asyncio.Event()

    async def slow(got: Got) -> Say:
        if len(stuck.got) == 3:
            full.set()
        await waiting.wait()
        return Say()

    async with Site(slow) as stuck, Site(lambda got: Say(200, {})) as other:
        outside = door(stuck.url, other.url, per_origin=3)
        hanging = [asyncio.create_task(outside.fetch(stuck.url, purpose="webhook")) for _ in range(3)]
        await full.wait()
        with pytest.raises(SendUnavailable, match="too many requests wait for it"):
            await outside.fetch(stuck.url, purpose="webhook")
        assert (await outside.fetch(other.url, purpose="webhook")).status == 200
        waiting.set()
        assert [answer.status for answer in await asyncio.gather(*hanging)] == [200] * 3
        await outside.close()


async def test_a_name_that_leads_nowhere_is_told_as_such() -> None:
    async def nothing(host: str) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(SendUnavailable, match="cannot be reached"):
        await door("https://gone.example", resolve=nothing).fetch("https://gone.example/", purpose="jwks")


@pytest.mark.parametrize(
    "entry",
    [
        "ehr.example",
        "https://ehr.example/r4",
        "ftp://ehr.example",
        "*",
        "*.org",
        "https://*",
        "*.*.example.org",
        "a.*.example",
        "*.10.0.0.1",
        "https://u@h.example",
    ],
)
def test_entries_that_allow_more_than_they_say_are_refused(entry: str) -> None:
    with pytest.raises(Unstartable) as error:
        Allowed([entry])
    assert error.value.where == "outbound.allow"


def test_an_unknown_purpose_is_told_when_the_server_starts() -> None:
    with pytest.raises(Unstartable, match="no purpose named 'jwk'") as error:
        Allowed((), ["jwk"])
    assert error.value.mend == "Did you mean 'jwks'?"


def test_what_is_refused_is_told_without_the_path() -> None:
    with pytest.raises(SutureError) as error:
        door().check("https://evil.example/Patient?name=Smith", "subscription")
    assert "Smith" not in str(error.value)
    assert error.value.mend == "Add https://evil.example to the setting outbound.allow."


def test_the_page_lists_the_purposes() -> None:
    rows = [f"| `{name}` | {says} |" for name, says in PURPOSES.items()]
    docs.check("outbound.md", "purposes", "\n".join(["| purpose | who enters such a URL |", "|---|---|", *rows, ""]))


async def test_a_stream_is_read_as_it_arrives_and_ends_when_nothing_comes() -> None:
    async def slowly(got: Got) -> Say:
        if got.target == "/late":
            await asyncio.sleep(1)
        return Say(206, b"packed or not", {"etag": '"v1"'})

    async with Site(slowly) as site:
        outside = door(site.url, timeout=0.2)
        async with outside.stream(f"{site.url}/a", purpose="import", headers={"range": "bytes=3-"}) as answer:
            assert (answer.status, answer.headers["etag"]) == (206, '"v1"')
            assert b"".join([part async for part in answer.parts]) == b"packed or not"
        with pytest.raises(SendUnavailable, match="no answer from"):
            async with outside.stream(f"{site.url}/late", purpose="import"):
                pass
        with pytest.raises(OutboundRefused, match="is not on the list"):
            async with outside.stream("http://127.0.0.1:9/", purpose="import"):
                pass
        await outside.close()
    assert site.got[0].headers["range"] == "bytes=3-"
