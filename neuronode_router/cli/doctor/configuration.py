"""Traps in the settings of a LiteLLM configuration, and in the profiles that belong to it.

It must not reach out to anything but files.
"""

from __future__ import annotations

from collections.abc import Iterator

from neuronode_router.access import open_team_rules
from neuronode_router.cli.compose import Launch
from neuronode_router.cli.doctor.finding import Finding, Subject, is_on
from neuronode_router.cli.effective import CUSTOM_AUTH, alias_target
from neuronode_router.cli.references import has_secret_manager, reference
from neuronode_router.cli.serve.master_key import VARIABLE, is_publicly_known
from neuronode_router.domain.names import AUTO_NAMES, TASK_ALIASES
from neuronode_router.domain.profiles import HostFacts
from neuronode_router.profiles.configuration import section
from neuronode_router.profiles.files import ProfileFiles

SHORTEST_KEY = 20
KEY_MEND = 'Set {} to a long random value: "sk-$(openssl rand -hex 32)".'


def master_key(subject: Subject) -> Iterator[Finding]:
    """Who has the master key may do everything."""
    configured = str(subject.general.get("master_key") or "")
    named = reference(configured)
    name = named or VARIABLE
    literal = bool(configured) and named is None
    where = "general_settings.master_key" if configured else VARIABLE
    if written := _written(subject, name, literal=literal):
        message = "The master key stands in the configuration, for everybody who may read or commit it."
        fix = f"Write `master_key: os.environ/{VARIABLE}`, and set that to a new key in the environment."
        yield Finding("problem", "key_in_configuration", written, message, fix)
    if literal:
        yield from _weak_key(configured, where, name)
        return
    for launch in subject.running:
        if given := subject.known(launch).get(name, "").strip():
            yield from _weak_key(given, launch.place(where), name)
        else:
            yield from _no_key(subject, launch, where, named)


def _weak_key(given: str, where: str, name: str) -> Iterator[Finding]:
    if is_publicly_known(given):
        message = "The master key is the one of LiteLLM's examples, which everybody knows."
        yield Finding("problem", "weak_master_key", where, message, KEY_MEND.format(name))
    elif len(given.strip()) < SHORTEST_KEY:
        message = f"The master key is shorter than {SHORTEST_KEY} characters: it can be guessed."
        yield Finding("problem", "weak_master_key", where, message, KEY_MEND.format(name))


def _written(subject: Subject, name: str, *, literal: bool) -> str | None:
    """Return where the configuration itself has the key, None where it only refers to it."""
    if literal:
        return "general_settings.master_key"
    value = section(subject.config, "environment_variables").get(name)
    return f"environment_variables.{name}" if value and reference(value) is None else None


def _no_key(subject: Subject, launch: Launch, where: str, named: str | None) -> Iterator[Finding]:
    if named is not None and has_secret_manager(subject.config):
        return
    kept = subject.settings.state_dir / "master_key"
    missing = "There is no master key: LiteLLM alone would serve everybody, and the admin routes stay closed."
    where = launch.place(where)
    if named not in (None, VARIABLE):
        message = f"{missing} The configuration takes it from {named}, which is not set."
        yield Finding("problem", "no_master_key", where, message, KEY_MEND.format(named))
    elif launch.is_service:
        yield Finding("problem", "no_master_key", where, missing, KEY_MEND.format(VARIABLE))
    elif not kept.is_file():
        fix = (
            f"{KEY_MEND.format(VARIABLE)} `neuronode serve` makes one up in {kept.parent}; where it has another "
            "--state-dir, name that here too."
        )
        yield Finding("problem", "no_master_key", where, missing, fix)


def weak_key_permitted(subject: Subject) -> Iterator[Finding]:
    """LiteLLM's own check of the key can be switched off."""
    setting = "dangerously_permit_weak_or_unset_master_key"
    if is_on(subject.general.get(setting)):
        message = "LiteLLM starts even with a master key that everybody knows."
        yield Finding(
            "problem", "weak_key_permitted", f"general_settings.{setting}", message, "Remove the setting."
        )


def database_outage(subject: Subject) -> Iterator[Finding]:
    """Without its database LiteLLM serves nobody, unless it is told to serve everybody: either is a decision."""
    setting = "allow_requests_on_db_unavailable"
    has_database = subject.general.get("database_url") or any(
        subject.known(launch).get("DATABASE_URL") for launch in subject.running
    )
    if has_database and subject.general.get(setting) is None:
        yield Finding(
            "advice",
            "database_outage",
            f"general_settings.{setting}",
            "While the database is away LiteLLM refuses each key that it has not seen within a minute, and its "
            "readiness is 503: Kubernetes then takes every pod out of the service.",
            "Decide, and write it down: `true` serves whoever reaches the proxy meanwhile, without the models, limits, "
            "budget and team of any key; `false` leaves it as it is.",
        )


def aliases(subject: Subject) -> Iterator[Finding]:
    """LiteLLM follows exactly one alias, and an alias goes before a group of the same name."""
    given = section(subject.router, "model_group_alias")
    for alias, target in given.items():
        where = f"router_settings.model_group_alias.{alias}"
        leads_to = alias_target(target)
        if alias in subject.groups:
            message = f"The alias {alias!r} hides the model group of that name."
            yield Finding("problem", "alias_hides_group", where, message, "Rename one of them.")
        if leads_to in given and leads_to not in subject.groups:
            message = f"{alias!r} leads to {leads_to!r}, an alias itself, and LiteLLM follows only one."
            yield Finding("problem", "alias_chain", where, message, "Name the model group it shall end at.")
        elif leads_to not in subject.groups:
            message = f"{alias!r} leads to {leads_to!r}, which is no model group."
            yield Finding("problem", "alias_to_nothing", where, message, "Name a group of the model_list.")


def aliases_owned_by_file(subject: Subject) -> Iterator[Finding]:
    """With a database LiteLLM applies the file's alias map again and again."""
    if subject.stores_in_database and subject.router.get("model_group_alias"):
        yield Finding(
            "advice",
            "aliases_owned_by_file",
            "router_settings.model_group_alias",
            "With store_model_in_db LiteLLM puts this map back every 30 s; the plugin has to undo that each time.",
            "Remove the map: the plugin sets it from the active profile.",
        )


def rendering_with_database(subject: Subject) -> Iterator[Finding]:
    """A rendered map is an older one as soon as the next switch is made."""
    if subject.stores_in_database and subject.settings.render == "on":
        yield Finding(
            "problem",
            "rendering_with_database",
            "NEURONODE_RENDER",
            "With store_model_in_db LiteLLM reads the rendered file again and puts an older map in force.",
            "Set NEURONODE_RENDER=auto.",
        )


def pre_call_checks(subject: Subject) -> Iterator[Finding]:
    """LiteLLM counts the tokens of every prompt on the event loop."""
    if is_on(subject.router.get("enable_pre_call_checks")):
        yield Finding(
            "advice",
            "pre_call_checks",
            "router_settings.enable_pre_call_checks",
            "LiteLLM counts the tokens of every prompt: about 10 ms for 58,000 characters, for all requests at once.",
            "Set it to false, unless long prompts go to groups with a small context window.",
        )


def fallback_access(subject: Subject) -> Iterator[Finding]:
    """Keys that may use a task alias only would lose its fallbacks."""
    if is_on(subject.general.get("enforce_fallback_model_access")):
        yield Finding(
            "advice",
            "fallback_access",
            "general_settings.enforce_fallback_model_access",
            "A key that may use task aliases or `auto` only gets an error where it would have got a fallback.",
            "Set it to false, or grant such keys the groups that fallbacks lead to.",
        )


def stream_usage(subject: Subject) -> Iterator[Finding]:
    """Providers report tokens of a stream only when asked."""
    if not is_on(subject.general.get("always_include_stream_usage")):
        yield Finding(
            "advice",
            "stream_usage",
            "general_settings.always_include_stream_usage",
            "Some streamed answers are recorded with 0 tokens and no cost.",
            "Set it to true.",
        )


def key_limits(subject: Subject) -> Iterator[Finding]:
    """What a key may use is only looked at when LiteLLM is told to, where it does not know the keys itself."""
    if subject.general.get("custom_auth") == CUSTOM_AUTH and not is_on(
        subject.litellm.get("enable_post_custom_auth_checks")
    ):
        yield Finding(
            "problem",
            "key_limits_off",
            "litellm_settings.enable_post_custom_auth_checks",
            "Every key of the access file may use every model group.",
            "Set it to true, and general_settings.custom_auth_run_common_checks too.",
        )


def team_rules(subject: Subject) -> Iterator[Finding]:
    """Rules of teams stand in LiteLLM's metadata of the team, which it can give away."""
    if found := open_team_rules(subject.general):
        yield Finding("problem", "team_rules_open", found.path, found.message, found.fix)


def model_budgets(subject: Subject) -> Iterator[Finding]:
    """LiteLLM checks such a budget by the name that was sent, and books the cost on the group."""
    budgets = section(section(subject.litellm, "default_key_generate_params"), "model_max_budget")
    for name in budgets:
        if name in TASK_ALIASES or name in AUTO_NAMES:
            yield Finding(
                "problem",
                "model_budget_of_task",
                f"litellm_settings.default_key_generate_params.model_max_budget.{name}",
                f"A budget on {name!r} never bites: what it costs is booked on the group that answered.",
                "Set it on groups, or use a budget of the key or team.",
            )


def profiles(subject: Subject) -> Iterator[Finding]:
    """The profile files, against the groups of this configuration."""
    for problem in ProfileFiles(subject.settings.profiles).check(HostFacts(groups=subject.groups)):
        where = ":".join(filter(None, (problem.file, str(problem.line or ""), problem.path)))
        yield Finding("problem", problem.code, where, problem.message, problem.fix)


CHECKS = (
    master_key,
    weak_key_permitted,
    database_outage,
    aliases,
    aliases_owned_by_file,
    rendering_with_database,
    pre_call_checks,
    fallback_access,
    stream_usage,
    key_limits,
    team_rules,
    model_budgets,
    profiles,
)
