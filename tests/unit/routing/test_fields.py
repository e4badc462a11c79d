"""Which fields of a request are known to choose no model, and which headers are a deployment's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronode_router.routing.fields import CHECKED, OF_DEPLOYMENTS, credentials, unchecked


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"model": "x", "messages": [], "temperature": 1}, []),
        ({"deployment_id": "x"}, ["deployment_id"]),
        ({"custom_llm_provider": "azure"}, ["custom_llm_provider"]),
        ({"model_id": "x", "top_p": 1}, ["model_id"]),
        ({"models": ["x"], "route": "fallback"}, ["models", "route"]),
        ({"engine": "x"}, ["engine"]),
        ({"agent_id": "x"}, ["agent_id"]),
        ({"inference_geo": "us"}, ["inference_geo"]),
        ({"extra_body": {"inference_geo": "us"}}, ["extra_body.inference_geo"]),
        ({"extra_body": {"model": "x"}}, ["extra_body.model"]),
        ({"extra_body": {"models": ["x"], "top_k": 3}}, ["extra_body.models"]),
        ({"extra_body": {"extra_body": {"model": "x"}}}, ["extra_body.extra_body"]),
        ({"extra_body": [["model"]]}, []),
    ],
)
def test_what_nobody_knows_is_named(body: dict[str, Any], found: list[str]) -> None:
    """Fields by which a deployment's server may be asked for something else."""
    assert list(unchecked(body)) == found


@given(st.text(max_size=20))
def test_a_field_is_checked_or_named(name: str) -> None:
    """There is no third kind, whatever a client calls a field."""
    assert list(unchecked({name: 1})) == ([] if name in CHECKED else [name])


@pytest.mark.parametrize("field", ["extra_headers", "headers"])
@pytest.mark.parametrize("place", ["", "extra_body.", "router_settings_override."])
@pytest.mark.parametrize("name", sorted(OF_DEPLOYMENTS))
def test_headers_of_deployments_are_named_wherever_they_stand(field: str, place: str, name: str) -> None:
    """In any spelling; others are the client's to set."""
    given = {field: {f" {name.title()}": "x", "X-My-Trace": "y"}}
    body = {place[:-1]: given} if place else given

    assert list(credentials(body)) == [f"{place}{field}. {name.title()}"]
