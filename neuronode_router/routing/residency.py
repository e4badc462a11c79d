"""Where data may go, and where a deployment is: the rule, and what a deployment's address and region say.

It must not know LiteLLM, DNS or who asks. What nobody can tell is None, and None is within nothing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from neuronode_router.domain.names import NAME_PATTERN

LOCAL = "local"
"""Own machines. It is within everything that may be required."""

Required = tuple[frozenset[str], ...]
"""What profile, key and team require, each a set of places; all of them hold. Empty: nothing is required."""

NOTHING_REQUIRED: Required = ()

_MEMBERS = "at be bg cy cz de dk ee es fi fr gr hr hu ie it lt lu lv mt nl pl pt ro se si sk"
EU = frozenset(_MEMBERS.split())
"""The members of the European Union: what is there is also within `eu`."""


def required(*requirements: Iterable[str]) -> Required:
    """Return what all requirements say together; those that name no place say nothing."""
    return tuple(places for each in requirements if (places := frozenset(each)))


def is_within(place: str | None, wanted: Required) -> bool:
    """Return whether data that is at `place` is where all requirements have it."""
    if not wanted or place == LOCAL:
        return True
    names = {place, "eu"} if place in EU else {place}
    return place is not None and all(not places.isdisjoint(names) for places in wanted)


def in_words(wanted: Required) -> str:
    """Return requirements for people."""
    return " and ".join(" or ".join(sorted(places)) for places in wanted)


def read_requirement(said: object) -> tuple[str, ...]:
    """Return what somebody wrote as a place or a list of places. What cannot be read means `local` alone."""
    given = [said] if isinstance(said, str) else said
    if not isinstance(given, list | tuple) or not given:
        return () if said is None else (LOCAL,)
    return tuple(given) if all(map(is_place, given)) else (LOCAL,)


def is_place(name: object) -> bool:
    """Return whether a name may stand for a place."""
    return isinstance(name, str) and NAME_PATTERN.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Server:
    """Who is asked, as far as configuration tells."""

    provider: str | None
    """LiteLLM's name."""
    name: str = ""
    """What the provider calls that which answers."""
    base: str | None = None
    """The address that somebody wrote, None where it is the provider's own: an address may lead away from it."""
    regions: tuple[str, ...] = ()
    """What the parameters say of regions."""


@lru_cache(maxsize=4096)
def place_of(server: Server) -> str | None:
    """Return where a server is: `local`, a country, `eu` or `us`, else its provider. None where nobody can tell."""
    if server.base is not None:
        host = host_of(server.base)
        if host is None or server.provider in RELAYS:
            return None
        if is_own(host):
            return None if _CLOUD.search(server.name) else LOCAL
        said = _HOSTS.get(host) or _of_labels(host)
        if said is None:
            return None
    else:
        said = None
    return _of_regions(server, said)


def _of_regions(server: Server, by_host: str | None) -> str | None:
    """Return what regions say, else the host, else the provider; None where two of them differ."""
    found = set(map(of_region, server.regions))  # one that is not known here differs from all others
    if by_host is not None and by_host not in _PROVIDERS:
        found.add(by_host)
    if server.provider in BEDROCK:
        return _of_bedrock(server, found)
    if len(found) > 1:
        return None
    own = server.provider if is_place(server.provider) else None
    return next(iter(found), None) or by_host or own


def _of_bedrock(server: Server, found: set[str | None]) -> str | None:
    """Return where a name of Bedrock's is answered of which LiteLLM's regions and host say this.

    A region in the name's path proves nothing, as LiteLLM follows it for some calls only; it may only contradict.
    """
    *path, last = server.name.split("/")
    spread = _SPREAD.match(last)
    if spread or "arn:" in server.name:  # answered in any region of a part of the world
        part = spread[1] if spread and spread[1] in ("eu", "us") else None
        return part if part and all(is_within(place, required([part])) for place in found) else None
    said = {place for part in path if (place := of_region(part))}
    if len(found | said) > 1:
        return None
    return next(iter(found), None) or server.provider


def of_region(name: str) -> str | None:
    """Return the place of a cloud's region, None for one that is not known here."""
    if name in _REGIONS:
        return _REGIONS[name]
    return next((place for prefix, place in _WHOLE if name.startswith(prefix)), None)


def host_of(address: str) -> str | None:
    """Return the host of an address in lower case, None where two readers might read two hosts."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or not _PLAIN.fullmatch(parts.netloc):
        return None
    return host.lower().removesuffix(".")


def is_own(host: str) -> bool:
    """Return whether a host is certainly one of the own network: never for an address that the world can reach."""
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return _is_own_name(host)
    mapped = getattr(number, "ipv4_mapped", None)
    number = mapped or number
    return any(number.version == net.version and number in net for net in _OWN)


def _is_own_name(host: str) -> bool:
    labels = host.split(".")
    if not all(map(_LABEL.fullmatch, labels)) or host.endswith(_OWN_ENDS):
        return all(map(_LABEL.fullmatch, labels))
    # One label is a machine's name, unless it is a number, which readers take for an address.
    return len(labels) == 1 and host[0].isalpha()


def _of_labels(host: str) -> str | None:
    """Return the place or provider that a host of a known provider's carries in its name."""
    for end, provider in _ENDS:
        if host.endswith(end):
            return provider
    cloud = next(
        (end for end in (".amazonaws.com", "-aiplatform.googleapis.com") if host.endswith(end)), None
    )
    if cloud is None:
        return None
    regions = {place for label in host.removesuffix(cloud).split(".") if (place := of_region(label))}
    return next(iter(regions)) if len(regions) == 1 else None


def outside(
    places: Mapping[str, Sequence[str | None]], groups: Iterable[str], wanted: Required
) -> Iterator[Outside]:
    """Yield the groups of which not every deployment is where it must be, once each."""
    for group in dict.fromkeys(groups) if wanted else ():
        known = places.get(group, ())
        wrong = [place for place in known if not is_within(place, wanted)]
        if wrong:
            names = tuple(sorted({place or "unknown" for place in wrong}))
            yield Outside(group, names, whole=len(wrong) == len(known))


@dataclass(frozen=True, slots=True)
class Outside:
    """A model group that is not, or not as a whole, where data must stay."""

    group: str
    places: tuple[str, ...]
    whole: bool
    """Whether none of its deployments may be asked: then nobody is."""


BEDROCK = frozenset({"bedrock", "bedrock_converse", "bedrock_mantle"})
RELAYS = frozenset({"litellm_proxy"})
"""Providers that hand requests on: where to, their address does not tell."""

_CLOUD = re.compile(r"[:-]cloud$")
"""An Ollama's name for what it asks its maker's cloud for."""

_SPREAD = re.compile(r"(eu|us|us-gov|apac|global|jp|au|ca|sa|me|af)\.")
"""How Bedrock names what it answers in several regions."""

_PLAIN = re.compile(r"[A-Za-z0-9._~:@%\[\]+-]+", re.ASCII)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?", re.ASCII)
_OWN_ENDS = (".localhost", ".local", ".internal", ".home.arpa", ".lan")
_OWN = tuple(
    map(
        ipaddress.ip_network,
        (
            *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "0.0.0.0/32"),
            *("::1/128", "::/128", "fc00::/7", "fe80::/10"),
        ),
    )
)
"""Written out: Python's own idea of private covers tunnels (6to4, Teredo) to anywhere."""

_HOSTS: Mapping[str, str] = {
    "eu.api.openai.com": "eu",
    "us.api.openai.com": "us",
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.mistral.ai": "mistral",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "xai",
    "api.cohere.com": "cohere",
    "openrouter.ai": "openrouter",
    "generativelanguage.googleapis.com": "gemini",
    "ollama.com": "ollama",
}
_ENDS = (
    (".openai.azure.com", "azure"),
    (".cognitiveservices.azure.com", "azure"),
    (".services.ai.azure.com", "azure"),
)
"""An Azure name does not tell the region, and a global deployment answers in any."""

_PROVIDERS = {*_HOSTS.values(), "azure"} - {"eu", "us"}

_NAMED = """
at austriaeast
au ap-southeast-2 ap-southeast-4 australia-southeast1 australiaeast
be europe-west1
br sa-east-1 southamerica-east1 brazilsouth
ca ca-central-1 ca-west-1 northamerica-northeast1 northamerica-northeast2 canadacentral canadaeast
ch eu-central-2 europe-west6 switzerlandnorth switzerlandwest
de eu-central-1 eusc-de-east-1 europe-west3 europe-west10 germanywestcentral germanynorth
es eu-south-2 europe-southwest1 spaincentral
eu eu
fi europe-north1
fr eu-west-3 europe-west9 francecentral
gb eu-west-2 europe-west2 uksouth ukwest
ie eu-west-1 northeurope
il il-central-1
in ap-south-1 ap-south-2 asia-south1 centralindia
it eu-south-1 europe-west8 europe-west12 italynorth
jp ap-northeast-1 ap-northeast-3 asia-northeast1 asia-northeast2 japaneast japanwest
kr ap-northeast-2 asia-northeast3 koreacentral
nl europe-west4 westeurope
no norwayeast
pl europe-central2 polandcentral
se eu-north-1 europe-north2 swedencentral
sg ap-southeast-1 asia-southeast1 southeastasia
us us eastus eastus2 centralus northcentralus southcentralus westus westus2 westus3 westcentralus
"""
_REGIONS: Mapping[str, str] = {
    region: place for place, *regions in map(str.split, _NAMED.strip().splitlines()) for region in regions
}
"""The regions of Amazon, Google and Microsoft, each in the country it is in."""

_WHOLE = (("us-", "us"),)
"""Beginnings of regions that are all in one country."""
