"""`neuronode classify`: here, and asked of a proxy."""

from __future__ import annotations

import json

from neuronode_router.cli.http import KEY_VARIABLE
from tests.unit.cli.conftest import Remote, Terminal

SUMMARY = "Fasse den folgenden Vertrag in drei Sätzen zusammen."


def test_a_prompt_is_classified_on_this_machine(neuronode: Terminal) -> None:
    """Without an address there is no proxy and no key to ask for: task, tier, confidence and cues."""
    shown, document = neuronode("classify", SUMMARY), neuronode("classify", SUMMARY, "--json")

    answer = json.loads(document.out)
    assert (shown.code, shown.err) == (0, "")
    assert [word for word in ("summary", "medium", "confidence", "speaks for") if word not in shown.out] == []
    assert (answer["classification"]["task"], answer["classification"]["confident"]) == ("summary", True)
    assert answer["decision"] is None


def test_a_prompt_that_says_nothing_is_said_to(neuronode: Terminal) -> None:
    """Low confidence is told with its consequence."""
    shown = neuronode("classify", "xq zzv wrrk")

    assert "by its length alone, not enough" in shown.out
    assert "`uncertain`" in shown.out


def test_a_prompt_comes_from_standard_input(neuronode: Terminal) -> None:
    """A long one need not stand on the command line, where others could see it."""
    answer = json.loads(neuronode("classify", "-", "--json", typed=SUMMARY).out)

    assert answer["classification"]["task"] == "summary"


def test_a_proxy_is_asked_for_the_decision_too(remote: Remote, neuronode: Terminal) -> None:
    """With an address the proxy's classifier answers, with group, ladder and reasons under any profile."""
    shown = neuronode("classify", SUMMARY)
    other = neuronode("classify", SUMMARY, "--profile", "balanced", "--task", "chat", "--json")

    assert shown.code == 0
    assert "tier_medium" in shown.out
    assert "active_profile, classified" in shown.out
    assert json.loads(other.out)["decision"]["group"] == "chat_balanced"


def test_what_the_proxy_refuses_is_exit_code_1(remote: Remote, neuronode: Terminal) -> None:
    """One line: what happened, and what to do."""
    refused = neuronode("classify", SUMMARY, "--profile", "no_such")

    assert (refused.code, refused.out) == (1, "")
    assert "no_such" in refused.err


def test_a_profile_without_a_proxy_is_wrong_usage(neuronode: Terminal) -> None:
    """Which group it would be only a proxy knows."""
    refused = neuronode("classify", SUMMARY, "--profile", "balanced")

    assert (refused.code, refused.out) == (2, "")
    assert "--url" in refused.err


def test_a_proxy_without_a_key_is_wrong_usage(neuronode: Terminal) -> None:
    """The key comes from the environment, and nobody is asked where there is no terminal."""
    refused = neuronode("classify", SUMMARY, "--url", "http://proxy.invalid")

    assert refused.code == 2
    assert KEY_VARIABLE in refused.err
