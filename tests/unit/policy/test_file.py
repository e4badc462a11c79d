"""Policy files: what they say, and what is wrong with them, with its place."""

from __future__ import annotations

import zoneinfo
from datetime import date, time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.policy.document import (
    BudgetTrigger,
    OutageScope,
    OutageTarget,
    OutageTrigger,
    Policy,
    Want,
    difference,
)
from neuronode_router.policy.file import (
    ANSWERS_KEPT,
    ATTEMPTS_KEPT,
    parse_policy,
    policy_of,
    stored_policy,
    written,
)
from neuronode_router.stats.window import SLOT_SECONDS, WINDOW_SLOTS
from neuronode_router.usage.periods import MINUTES_KEPT

NIGHT = """\
default: balanced
schedule:
  - name: night
    zone: Europe/Berlin
    days: [mon, tue]
    from: "20:00"
    to: "06:00"
    except: ["2026-12-24"]
    then: {profile: cost_effective}
"""
DOWN = """\
rules:
  - name: smart-down
    outage: {group: smart}
    then: {task: chat, group: local}
    emergency: true
"""
SLOW = """\
rules:
  - name: slow
    latency: {group: smart, enter_ms: 4000, return_ms: 2000}
    then: {max_tier: fast}
"""


def read(text: str) -> Policy:
    policy, problems = parse_policy(text.encode())
    assert problems == ()
    assert policy is not None
    return policy


def test_a_window_is_read() -> None:
    """Zone, days, times and exceptions are what the file says."""
    (window,) = read(NIGHT).schedule

    assert (window.zone, window.days) == ("Europe/Berlin", ("mon", "tue"))
    assert (window.begins, window.ends) == (time(20), time(6))
    assert window.exceptions == (date(2026, 12, 24),)
    assert window.want == Want(profile="cost_effective")


@pytest.mark.parametrize("key", ["on", '"on"'])
def test_dates_need_no_quotes_around_their_key(key: str) -> None:
    """To a reader of YAML 1.1 `on` is a switch; no key of a policy is one."""
    (window,) = read(NIGHT.replace("days: [mon, tue]", f'{key}: ["2026-12-24"]')).schedule

    assert window.dates == (date(2026, 12, 24),)


def test_a_rule_has_defaults() -> None:
    """An outage rule needs a group and what it wants, and nothing else."""
    (rule,) = read(DOWN).rules

    target = OutageTarget(OutageScope.GROUP, "smart")
    assert rule.trigger == OutageTrigger(target, 0.5, 0.1, attempts=3, within=30.0, probes=10)
    assert (rule.dwell, rule.changes, rule.dry_run, rule.emergency) == (60.0, 4, False, True)


@pytest.mark.parametrize(
    ("written", "target", "every"),
    [
        ("{provider: openai}", OutageTarget(OutageScope.PROVIDER, "openai"), False),
        ("{api_base: 'http://gpu:11434'}", OutageTarget(OutageScope.API_BASE, "http://gpu:11434"), False),
        ("{group: smart, every_deployment: true}", OutageTarget(OutageScope.GROUP, "smart"), True),
    ],
)
def test_an_outage_is_of_a_group_a_provider_or_a_server(
    written: str, target: OutageTarget, every: bool
) -> None:
    """Of all its deployments together, or of every single one."""
    (rule,) = read(DOWN.replace("{group: smart}", written)).rules

    assert isinstance(rule.trigger, OutageTrigger)
    assert (rule.trigger.target, rule.trigger.every) == (target, every)


def test_a_budget_is_read() -> None:
    """Shares, period and zone of a budget are what the file says."""
    text = """\
rules:
  - name: month
    budget: {usd: 500, per: month, enter: 0.8, return: 0.6, forecast: true}
    then: {max_tier: medium}
    dwell: 1h
"""
    (rule,) = read(text).rules

    assert isinstance(rule.trigger, BudgetTrigger)
    assert (rule.trigger.usd, rule.trigger.enter, rule.trigger.back) == (500, 0.8, 0.6)
    assert rule.trigger.forecast
    assert rule.dwell == 3600


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (NIGHT + "spelled: wrong\n", 10, "not known"),
        (NIGHT.replace("Europe/Berlin", "Europe/Belrin"), 4, "no time zone 'Europe/Belrin'"),
        (NIGHT.replace('"20:00"', "20:00"), 6, "valid string"),
        (DOWN.replace("{group: smart}", "{group: smart, within: 0s}"), 3, "greater than 0"),
        (DOWN.replace("{group: smart}", "{group: smart, within: 301s}"), 3, "five minutes at most"),
        (SLOW.replace("enter_ms", "within: 361m, enter_ms"), 3, "six hours at most"),
        (SLOW.replace("enter_ms: 4000", "enter_ms: 4000000"), 3, "less than or equal to 3600000"),
        (DOWN + "    dwell: 53w\n", 6, "longer than 52 weeks"),
        (DOWN.replace("{group: smart}", '{group: "smart\\e[1m"}'), 3, "control characters"),
        (NIGHT.replace('"20:00"', '"25:00"'), 6, "no time of day"),
        (NIGHT.replace("default: balanced\n", ""), 1, "nothing says which one"),
        (
            NIGHT.replace("{profile: cost_effective}", "{profile: a, max_tier: fast}"),
            9,
            "wants nothing, or several",
        ),
        (NIGHT.replace("{profile: cost_effective}", "{task: chat}"), 9, "belong together"),
        (DOWN.replace("{group: smart}", "{group: smart, enter: 0.1, return: 0.5}"), 2, "below enter"),
        (DOWN.replace("group: local", "group: smart"), 4, "the very group"),
        (DOWN.replace("{group: smart}", "{}"), 3, "watches nothing, or several"),
        (
            DOWN.replace("{group: smart}", "{group: smart, provider: openai}"),
            3,
            "watches nothing, or several",
        ),
        (DOWN.replace("{group: smart}", "{provider: [openai]}"), 3, "valid string"),
        (DOWN.replace("    outage: {group: smart}\n", ""), 2, "no trigger, or several"),
        (DOWN + "    changes: 1\n", 6, "greater than or equal to 2"),
        (DOWN + "    dwell: 5 minutes\n", 6, "no duration"),
        (DOWN + DOWN.split("\n", 1)[1], 6, "appears twice"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, message: str) -> None:
    """Each problem names the line of its key, or of the entry that it is about."""
    policy, problems = parse_policy(text.encode())

    assert policy is None
    assert [(problem.line, message in problem.message) for problem in problems] == [(line, True)]


def test_zones_are_known_where_the_system_has_none() -> None:
    """As in slim images: they come along."""
    zoneinfo.reset_tzpath(to=[])
    try:
        (window,) = read(NIGHT.replace("Europe/Berlin", "Pacific/Chatham")).schedule
    finally:
        zoneinfo.reset_tzpath()

    assert window.zone == "Pacific/Chatham"


@pytest.mark.parametrize("name", ["a\nb", "night\n", "<b>x</b>", "a\u202e", "a\x07", "\x1b[1mA", "A", ""])
@pytest.mark.parametrize("entry", ["schedule", "rules"])
def test_names_are_whole_names(entry: str, name: str) -> None:
    """What begins like one is none: they stand in sentences, logs and the audit log."""
    document = yaml.safe_load(NIGHT if entry == "schedule" else DOWN)
    document[entry][0]["name"] = name

    policy, (problem, *_) = policy_of(document)

    assert policy is None
    assert problem.path == f"{entry}[0].name"


@pytest.mark.parametrize("key", ["default", "schedule"])
def test_a_key_without_a_value_is_a_slip(key: str) -> None:
    """It is not read as if it were left out."""
    policy, (problem,) = policy_of({**yaml.safe_load(NIGHT), key: None})

    assert policy is None
    assert (problem.path, problem.message) == (key, "the key has no value.")


def test_what_its_file_could_not_say_is_refused() -> None:
    """A body may be larger than the file that it would be, which would be refused at the next look."""
    window = {**yaml.safe_load(NIGHT)["schedule"][0], "except": ["2026-12-24", "2026-12-25"]}
    few, many = (
        {"default": "balanced", "schedule": [{**window, "name": f"w{n}"} for n in range(count)]}
        for count in (100, 200)
    )
    rule = {"outage": {"api_base": "h" * 512}, "then": {"task": "chat", "group": "g" * 128}}
    long = {"rules": [{**rule, "name": f"r{n}"} for n in range(100)]}

    policy, problems = policy_of(few)
    refused, (problem,) = policy_of(many)

    assert policy is not None
    assert (problems, parse_policy(written(policy))[0]) == ((), policy)
    assert refused is None
    assert (problem.code, problem.file, problem.line) == ("too_large", "", 0)
    assert problem.path.startswith("schedule[")
    assert policy_of(long)[1][0].code == "too_large"


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_reading_never_raises(raw: bytes) -> None:
    """Whatever the bytes are, they are a policy or have problems."""
    policy, problems = parse_policy(raw)

    assert (policy is None) == bool(problems)


def test_attempts_are_kept_as_long_as_an_outage_may_look_back() -> None:
    """The bound is what statistics keep."""
    assert ATTEMPTS_KEPT == WINDOW_SLOTS * SLOT_SECONDS
    assert ANSWERS_KEPT == MINUTES_KEPT


def test_what_an_earlier_release_let_pass_can_be_read() -> None:
    """What is in force is not refused by a check that came later; what this machine does not know is named."""
    document = yaml.safe_load(DOWN.replace("{group: smart}", "{group: smart, within: 1h}"))
    document["rules"][0]["dwell"] = "60w"
    assert stored_policy(document)[0] is not None

    policy, (problem,) = stored_policy(yaml.safe_load(NIGHT.replace("Europe/Berlin", "Mars/Base")))
    assert policy is None
    assert "'Mars/Base'" in problem.message


def test_equal_documents_have_equal_digests() -> None:
    """The order of keys, comments and quotes make no other policy; a value does."""
    other = DOWN.replace("{task: chat, group: local}", "{group: 'local', task: chat} # moved")

    assert read(DOWN).digest == read(other).digest
    assert read(DOWN).digest != read(DOWN.replace("local", "other")).digest
    assert Policy().digest == ""


def test_a_difference_names_entries() -> None:
    """What was added, removed or changed is one line each."""
    assert difference(read(NIGHT), read(DOWN)) == (
        "default balanced -> none",
        "- schedule night",
        "+ rules smart-down",
    )
    assert difference(read(DOWN), read(DOWN + "    changes: 6\n")) == ("~ rules smart-down",)
