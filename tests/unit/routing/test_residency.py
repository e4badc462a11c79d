"""Where deployments are, by what is written of them, and what may go there."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.domain.decisions import Step
from neuronode_router.domain.names import Tier
from neuronode_router.routing.fallback_chain import Constraints
from neuronode_router.routing.fit import Misfit, Needs
from neuronode_router.routing.residency import (
    EU,
    LOCAL,
    Outside,
    Server,
    in_words,
    is_own,
    is_within,
    outside,
    place_of,
    read_requirement,
    required,
)
from tests.unit.routing.test_fallback_chain import FAST, PROFILE, chained, groups_of, status_of, statuses

FRANKFURT = ("eu-central-1",)


@pytest.mark.parametrize(
    ("server", "place"),
    [
        (Server("openai"), "openai"),
        (Server("openai", base="https://api.openai.com/v1"), "openai"),
        (Server("openai", base="https://eu.api.openai.com/v1"), "eu"),
        (Server("openai", base="https://gateway.example.com/v1"), None),
        (Server("openai", base="http://127.0.0.1:8000/v1"), LOCAL),
        (Server("hosted_vllm", base="http://vllm:8000/v1"), LOCAL),
        (Server("hosted_vllm", base="http://gpu7.lan/v1"), LOCAL),
        (Server("ollama", "llama3.1", base="http://[::1]:11434"), LOCAL),
        (Server("ollama", "gpt-oss:120b-cloud", base="http://localhost:11434"), None),
        (Server("openai", "kimi-k2:cloud", base="http://localhost:11434/v1"), None),
        (Server("litellm_proxy", base="http://localhost:4000"), None),
        (Server("bedrock", "anthropic.claude", regions=FRANKFURT), "de"),
        (Server("bedrock", "eu.anthropic.claude", regions=FRANKFURT), "eu"),
        (Server("bedrock", "us.anthropic.claude", regions=("us-east-1",)), "us"),
        (Server("bedrock", "global.anthropic.claude", regions=FRANKFURT), None),
        (Server("bedrock", "arn:aws:bedrock:eu-central-1:1:inference-profile/x", regions=FRANKFURT), None),
        (Server("bedrock", "eu.anthropic.claude", regions=("us-east-1",)), None),
        (Server("bedrock", "eu.anthropic.claude"), "eu"),
        (Server("bedrock", "eu-central-1/anthropic.claude"), "bedrock"),
        (Server("bedrock", "eu-central-1/anthropic.claude", regions=FRANKFURT), "de"),
        (Server("bedrock", "us-east-1/anthropic.claude", regions=FRANKFURT), None),
        (Server("bedrock", base="https://bedrock-runtime.eu-west-3.amazonaws.com"), "fr"),
        (Server("bedrock", base="https://bedrock-runtime.eu-west-3.amazonaws.com", regions=FRANKFURT), None),
        (Server("bedrock", "anthropic.claude", regions=("mars-north-1",)), "bedrock"),
        (Server("vertex_ai", "gemini", regions=("europe-west3",)), "de"),
        (Server("vertex_ai", "gemini", regions=("global",)), "vertex_ai"),
        (Server("vertex_ai", "gemini", regions=("europe-west3", "mars-north1")), None),
        (Server("vertex_ai", base="https://europe-west2-aiplatform.googleapis.com"), "gb"),
        (Server("azure", base="https://mine.openai.azure.com"), "azure"),
        (Server("azure", base="https://mine.openai.azure.com", regions=("eu",)), "eu"),
        (Server("openai", base="https://eu.example.com"), None),
        (Server("openai", base="ftp://localhost"), None),
        (Server("openai", base="localhost:8000"), None),
        (Server("openai", base="http://8.8.8.8\\@localhost/"), None),
        (Server("openai", base="http://localhost@8.8.8.8/"), None),
        (Server(None), None),
    ],
    ids=str,
)
def test_a_place_is_what_address_and_regions_say(server: Server, place: str | None) -> None:
    """Own machines, countries, parts of the world, providers; what could be two places, or any, is unknown."""
    assert place_of(server) == place


@pytest.mark.parametrize(
    ("place", "wanted", "within"),
    [
        (LOCAL, required(["eu"], ["us"]), True),
        ("de", required(["eu"]), True),
        ("eu", required(["de"]), False),
        ("gb", required(["eu"]), False),
        ("de", required(["eu", "us"], ["de"]), True),
        ("fr", required(["eu", "us"], ["de"]), False),
        ("openai", required(["openai"]), True),
        ("openai", required([LOCAL]), False),
        (None, required(["eu"]), False),
        (None, required([], []), True),
    ],
)
def test_all_requirements_hold_together(
    place: str | None, wanted: tuple[frozenset[str], ...], within: bool
) -> None:
    """`local` is within everything, a member within the European Union, and what nobody can tell within nothing."""
    assert is_within(place, wanted) is within


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (None, ()),
        ("eu", ("eu",)),
        (["eu", "us"], ("eu", "us")),
        ([], (LOCAL,)),
        (["Europa!"], (LOCAL,)),
        ({"eu": True}, (LOCAL,)),
        (7, (LOCAL,)),
    ],
)
def test_a_requirement_that_cannot_be_read_is_the_strictest(said: object, read: tuple[str, ...]) -> None:
    """A team whose metadata is wrong keeps its data on own machines."""
    assert read_requirement(said) == read


def test_requirements_are_said_in_words() -> None:
    """As the answer to who is refused has them."""
    assert in_words(required(["us", "eu"], ["de"])) == "eu or us and de"


OWN = [
    ipaddress.ip_network(net)
    for net in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "0.0.0.0/32"),
        *("::1/128", "::/128", "fc00::/7", "fe80::/10", "::ffff:0:0/96"),
    )
]


def public(number: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return not any(number.version == net.version and number in net for net in OWN)


def spellings(number: ipaddress.IPv4Address) -> list[str]:
    """Return the ways in which readers of addresses write and take an IPv4 address."""
    whole, parts = int(number), str(number).split(".")
    return [
        str(number),
        f"{number}.",
        str(whole),
        hex(whole),
        f"0{whole:o}",
        ".".join(f"0{int(part):o}" for part in parts),
        ".".join(hex(int(part)) for part in parts),
        f"{parts[0]}.{whole & 0xFFFFFF}",
        f"[::ffff:{number}]",
        f"[64:ff9b::{number}]",
        f"[2002:{whole >> 16:x}:{whole & 0xFFFF:x}::1]",
        f"[2001:0:{whole >> 16:x}:{whole & 0xFFFF:x}::1]",
    ]


@given(st.ip_addresses(v=4).filter(public))
def test_no_public_address_is_local_however_it_is_written(number: ipaddress.IPv4Address) -> None:
    """Nor behind a user's name that looks like a host."""
    for host in spellings(number):
        for address in (f"http://{host}:80/v1", f"https://localhost@{host}/", f"http://127.0.0.1:1@{host}"):
            assert place_of(Server("openai", base=address)) != LOCAL, address


@given(st.ip_addresses(v=6).filter(public))
def test_no_public_address_of_six_is_local(number: ipaddress.IPv6Address) -> None:
    """The new addresses, in their short and long forms."""
    assert not is_own(str(number))
    assert not is_own(number.exploded)


@given(st.from_regex(r"([a-z0-9-]{1,8}\.){1,3}(com|org|net|de|ai|io|dev|cloud|local\.com)", fullmatch=True))
def test_no_name_under_a_public_suffix_is_local(name: str) -> None:
    """Whatever its first labels are called."""
    assert not is_own(name)


def test_the_ladder_skips_groups_that_are_elsewhere() -> None:
    """Even where nothing else fits: of all others the reason is told, of these they are only left out."""
    groups = {name: (status_of(name, location="openai"),) for name in statuses()}
    groups["m1"] = (status_of("m1", location="openai"), status_of("m1b", location="de"))
    groups["c2"] = (status_of("c2", location=LOCAL),)
    needs = Needs(places=required(["eu"]))

    chain = chained(Constraints(FAST, needs=needs), PROFILE, groups)

    assert groups_of(chain) == ("m1", "c2")
    assert dict(chain.left_out)["f1"] is Misfit.RESIDENCY


def test_a_ladder_without_any_group_within_says_so() -> None:
    """The Decision stays as LiteLLM alone would serve it, for admission to refuse."""
    groups = {name: (status_of(name),) for name in statuses()}

    chain = chained(Constraints(FAST, needs=Needs(places=required([LOCAL]))), PROFILE, groups)

    assert Step.NO_GROUP in chain.steps
    assert chain.tier is Tier.FAST


def test_groups_that_are_elsewhere_are_told_beforehand() -> None:
    """Whole ones, whose tasks would be refused, and those of which some deployments are left out."""
    places = {"a": (LOCAL, "de"), "b": ("openai", LOCAL), "c": (None, "openai")}

    found = list(outside(places, ["a", "b", "c", "b", "gone"], required(["eu"])))

    assert found == [
        Outside("b", ("openai",), whole=False),
        Outside("c", ("openai", "unknown"), whole=True),
    ]
    assert not list(outside(places, ["a", "b", "c"], ()))
    assert len(EU) == 27
