"""The classifier learns through the real proxy: decisions are kept without text, judged, and weights followed."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from neuronode_router.access import AccessKey
from neuronode_router.classifier.artefacts import FOLDER, POINTER, ArtefactStore
from neuronode_router.classifier.history import History
from neuronode_router.classifier.weights import TABLE
from tests.e2e.asking import chat, decision
from tests.e2e.test_cli import neuronode
from tests.support.biased import PROMPT, write_biased
from tests.support.place import Place
from tests.support.proxy import Proxy
from tests.support.servers import wait_until
from tests.support.upstream import Upstream

pytestmark = pytest.mark.e2e

FEEDBACK = "/admin/router/feedback"
CANARY = "Zebrafink-4711"


@pytest.fixture
def state(proxy: Proxy) -> Path:
    """The state directory of the shared proxy, whose history is on."""
    return proxy.place.directory / ".neuronode"


def asked(client: httpx.Client, state: Path) -> str:
    """Ask `auto` and return the call id, once the decision is written down."""
    answer = chat(client, "auto", prompt=f"Fasse den Bericht über {CANARY} zusammen.")
    call_id = str(answer.raise_for_status().headers["x-litellm-call-id"])
    wait_until(lambda: History(state).find(call_id), seconds=10, what="the decision in the history")
    return call_id


def test_feedback_is_for_the_key_that_asked(
    proxy: Proxy, admin: httpx.Client, keys: Mapping[str, str], state: Path
) -> None:
    """The id in the answer's header names the decision in every worker; another key does not find it."""
    with proxy.client(keys["ordinary"]) as mine, proxy.client(keys["chooser"]) as other:
        call_id = asked(mine, state)
        verdict = {"call_id": call_id, "verdict": "wrong", "task": "translation"}
        answers = [mine.post(FEEDBACK, json=verdict) for _ in range(8)]
        foreign = other.post(FEEDBACK, json=verdict)
        boss = admin.post(FEEDBACK, json={"call_id": call_id, "verdict": "right"})

    assert {answer.status_code for answer in answers} == {200}
    assert (answers[0].json()["task"], answers[0].json()["group"]) == ("summary", "tier_medium")
    assert (foreign.status_code, boss.status_code) == (404, 200)


def test_no_text_of_a_prompt_is_kept(admin: httpx.Client, state: Path) -> None:
    """With the history on, no file of the state directory has a word of the prompt."""
    asked(admin, state)

    stored = b"".join(path.read_bytes() for path in state.rglob("*") if path.is_file()).lower()

    assert [word for word in ("zebrafink", "bericht") if word.encode() in stored] == []


def test_workers_follow_new_weights_and_the_way_back(admin: httpx.Client, state: Path) -> None:
    """What is put in use on the disk classifies in both workers without a restart; the status says which it is."""
    before = decision(chat(admin, "auto", prompt=PROMPT))["task"]
    store = ArtefactStore(state)

    def everywhere(task: str) -> bool:
        return {decision(chat(admin, "auto", prompt=PROMPT))["task"] for _ in range(8)} == {task}

    with store.workplace() as made:
        write_biased(made, "strategy")
        pointer = store.install(made, now=1.0)
    try:
        wait_until(lambda: everywhere("strategy"), seconds=10, what="both workers on the new weights")
        status = admin.get("/admin/profiles/status").json()["host"]["classifier"]
    finally:
        store.back()
    wait_until(lambda: everywhere(before), seconds=10, what="both workers on the former weights")

    assert before != "strategy"
    assert (status["weights"], status["digest"]) == ("trained", pointer.digest)


def test_one_flipped_byte_is_refused_and_said_so(admin: httpx.Client, state: Path, tmp_path: Path) -> None:
    """Weights whose file was altered after their installation are used by no worker; the status names the fix."""
    before = decision(chat(admin, "auto", prompt=PROMPT))["task"]
    elsewhere, here = ArtefactStore(tmp_path), state / FOLDER
    with elsewhere.workplace() as made:
        write_biased(made, "strategy")
        pointer = elsewhere.install(made, now=1.0)
    flip_last_byte(elsewhere.folder / pointer.digest / TABLE)
    shutil.copytree(elsewhere.folder / pointer.digest, here / pointer.digest)
    kept = (here / POINTER).read_bytes() if (here / POINTER).exists() else None

    def warnings() -> list[str]:
        return list(admin.get("/admin/profiles/status").raise_for_status().json()["warnings"])

    try:
        replace_file(here / POINTER, (elsewhere.folder / POINTER).read_bytes())
        wait_until(lambda: [w for w in warnings() if "in use before stays" in w], what="the warning")
        tasks = {decision(chat(admin, "auto", prompt=PROMPT))["task"] for _ in range(8)}
    finally:
        if kept is None:
            (here / POINTER).unlink()
        else:
            replace_file(here / POINTER, kept)
        shutil.rmtree(here / pointer.digest)
    wait_until(
        lambda: not [w for w in warnings() if "in use before stays" in w], what="the end of the warning"
    )

    assert tasks == {before}
    assert before != "strategy"


VERDICT = base64.urlsafe_b64encode(b'{"better": "both"}').decode()


OUTCOMES = "/admin/router/outcomes"
REVIEW = f"Is this review positive? It is about the {CANARY}."


@pytest.fixture(scope="module")
def learning(
    upstream: Upstream,
    generated: Mapping[str, tuple[str, AccessKey]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxy]:
    """Two workers that learn from outcomes and have a judge, who is content with every answer."""
    judge = {"model": f"openai/judge-say-{VERDICT}", "api_base": f"{upstream.url}/v1", "api_key": "k"}
    priced = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
    place = Place(
        directory=tmp_path_factory.mktemp("learning"),
        upstream=upstream.url,
        keys=[entry for _, entry in generated.values()],
        deployments=[{"model_name": "judge", "litellm_params": judge, "model_info": priced}],
    )
    environ = dict.fromkeys(("NEURONODE_HISTORY", "NEURONODE_OUTCOMES"), "on") | {
        "NEURONODE_JUDGE": "judge",
        "NEURONODE_JUDGE_SHARE": "1",
        "NEURONODE_JUDGE_BUDGET": "5",
        "NEURONODE_USAGE_FLUSH_SECONDS": "0.5",
    }
    with Proxy(place, workers=2, environ=environ) as running:
        yield running


def test_a_judge_compares_light_answers_in_the_background(
    learning: Proxy, generated: Mapping[str, tuple[str, AccessKey]]
) -> None:
    """Of any format, streams too; two workers share one budget; the caller is answered as ever, and no text is kept. A
    capped key is left alone.
    """
    message = {"role": "user", "content": REVIEW}
    plain: dict[str, Any] = {"model": "auto", "messages": [message]}
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("/v1/chat/completions", plain),
        ("/v1/messages", plain | {"max_tokens": 60, "system": "Be brief."}),
        ("/v1/messages", plain | {"max_tokens": 60, "stream": True}),
        ("/v1/responses", {"model": "auto", "input": REVIEW}),
        ("/v1/responses", {"model": "auto", "input": [message], "instructions": "Be brief.", "stream": True}),
    ]

    with learning.client() as admin:

        def outcomes() -> dict[str, Any]:
            return dict(admin.get(OUTCOMES).raise_for_status().json())

        for key, asked in (("low", bodies[:1]), ("ordinary", bodies)):
            with learning.client(generated[key][0]) as client:
                for path, body in asked:
                    said = client.post(path, json=body).raise_for_status()
                    assert decision(said)["group"] == "tier_fast"
        wait_until(lambda: outcomes()["judge"]["enough"] == len(bodies), seconds=30, what="every verdict")
        wait_until(
            lambda: sum(kind["good"] for kind in outcomes()["kinds"]) == len(bodies),
            seconds=45,
            what="the outcomes of both workers",
        )
        found = outcomes()
        status = admin.get("/admin/profiles/status").json()
        wait_until(
            lambda: '"judge"' in admin.get("/admin/usage", params={"by": "reason"}).text,
            seconds=20,
            what="the judge in our usage",
        )

    state = learning.place.directory / ".neuronode"
    stored = b"".join(path.read_bytes() for path in state.rglob("*") if path.is_file())
    assert [(kind["tier"], kind["good"], kind["bad"]) for kind in found["kinds"]] == [
        ("fast", len(bodies), 0)
    ]
    assert found["judge"]["cost_usd"] == pytest.approx(2 * len(bodies) * (11e-6 + 3 * 2e-6))
    assert any("A judge is on" in said for said in status["warnings"])
    assert (status["host"]["failures"], status["host"]["loop_failures"]) == (0, 0)
    assert CANARY.lower().encode() not in stored.lower()


def test_the_report_says_what_learning_changed(learning: Proxy) -> None:
    """Light answers that were not good enough lead the next ones one tier up, and the command line tells of it."""
    # The judge leaves requests for log probabilities alone: people alone say here how they turned out.
    with learning.client() as admin:

        def asked() -> httpx.Response:
            return chat(admin, "auto", prompt=REVIEW, logprobs=True).raise_for_status()

        def wrong(call_id: str) -> bool:
            verdict = {"call_id": call_id, "verdict": "wrong", "tier": "complex"}
            return admin.post(FEEDBACK, json=verdict).status_code == 200

        for call_id in [asked().headers["x-litellm-call-id"] for _ in range(20)]:
            wait_until(lambda of=call_id: wrong(of), seconds=10, what="the decision in the history")
        wait_until(
            lambda: decision(asked())["group"] == "tier_medium", seconds=45, what="a request that was moved"
        )

        def told() -> list[dict[str, Any]]:
            said = neuronode(learning.url, "outcomes", "report", "--json")
            assert said.returncode == 0, said.stderr
            return [line for line in json.loads(said.stdout)["diverted"] if line["step"] == "learned"]

        wait_until(told, seconds=30, what="the report of both workers")
        (line,) = told()
        shown = neuronode(learning.url, "outcomes", "report").stdout

    assert (line["profile"], line["instead"], line["tier"]) == ("premium", "fast", "medium")
    assert line["requests"] >= 1
    assert all(word in shown for word in ("premium", "learned", "fast", "medium"))


def flip_last_byte(file: Path) -> None:
    """Change one bit of a file."""
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def replace_file(file: Path, content: bytes) -> None:
    """Replace a file as a whole, as the store does."""
    new = file.with_suffix(".new")
    new.write_bytes(content)
    new.replace(file)
