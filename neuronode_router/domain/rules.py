"""The words by which a profile says what happens in its special cases."""

from __future__ import annotations

from enum import StrEnum


class OnOverload(StrEnum):
    """Where a request goes when its tier has no group that is well."""

    DOWN = "down"
    """To the next lower tier, and up where nothing lower is left."""
    UP = "up"
    STAY = "stay"


class OnMissing(StrEnum):
    """Where a task goes whose model group the host has not, or not any more."""

    LADDER = "ladder"
    """To the first group of the profile's tiers that is there: the `uncertain` tier, then the lower, then the upper."""
    REFUSE = "refuse"


class NothingFits(StrEnum):
    """Where a request goes that no model group can hold."""

    REFUSE = "refuse"
    """Nowhere: the client is told what it needs and what there is."""
    LEAST_BAD = "least_bad"
    """To the first group all the same, which may cut it or refuse it itself."""


class PersonalDataRule(StrEnum):
    """What becomes of requests that hold personal data of a kind that is recognised."""

    ALLOW = "allow"
    """They go wherever others go."""
    LOCAL = "local"
    """They go to the own machines only: elsewhere than others, if need be."""
    REFUSE = "refuse"
    """They are refused."""

    @classmethod
    def strictest(cls, *rules: PersonalDataRule) -> PersonalDataRule:
        """Return what holds where all of them hold together."""
        return next((rule for rule in (cls.REFUSE, cls.LOCAL) if rule in rules), cls.ALLOW)


class ConversationRule(StrEnum):
    """What a switch does to conversations that have begun."""

    KEEP = "keep"
    """They stay with their group until they have been silent for a while."""
    MOVE = "move"
    """They go where everybody goes; what another provider cannot accept is taken out of their history."""


class Stickiness(StrEnum):
    """What the requests of one session keep."""

    OFF = "off"
    TIER = "tier"
    DEPLOYMENT = "deployment"
