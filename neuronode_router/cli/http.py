"""The one way in which commands talk to a running proxy: requests, answers, refusals, and the event stream.

It must not know what is asked. The key comes from the environment or a hidden prompt, never from the command line.
"""

from __future__ import annotations

import re
import secrets
import ssl
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from neuronode_router.cli.answers import NotOffered, ProxyDocument, read_answer

from neuronode_router.cli.lean_httpx import httpx  # isort: skip  # before whatever else imports it
from httpx_sse import EventSource, ServerSentEvent, SSEError

from neuronode_router.domain.keys import require_sendable
from neuronode_router.environment import process_environment, state_directory, variable
from neuronode_router.errors import CommitUnknown, NeuronodeError, Problem, SettingsError

KEY_VARIABLE = "LITELLM_API_KEY"
PREFIX = "/neuronode"
"""Not `/admin`: LiteLLM takes that for itself when LITELLM_ENABLE_ADMIN_MCP is set."""
TIMEOUT = httpx.Timeout(60, connect=5)
HURRIED = httpx.Timeout(1)
SILENCE_SECONDS = 45
"""The event stream sends something every 15 seconds; after three times that the connection counts as lost."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
RIGHT_SECONDS = 5.0
"""By so much the proxy's clock may differ before it counts: an answer says whole seconds, and was on its way."""
PROBLEM_TYPE = "application/problem+json"


class Unreachable(NeuronodeError):
    """The proxy did not answer."""

    code = "unreachable"
    passing = True
    """As `Refused.passing`."""
    fix = "Start it with `neuronode serve`, or name its address with --url or LITELLM_BASE_URL."


class Refused(NeuronodeError):
    """The proxy answered with an error."""

    def __init__(
        self, status: int, code: str, message: str, *, fix: str, problems: Sequence[Problem] = ()
    ) -> None:
        super().__init__(message, fix=fix)
        self.status = status
        self.code = code
        self.problems = tuple(problems)

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed a little later."""
        return self.status == httpx.codes.TOO_MANY_REQUESTS or self.status >= 500


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What the proxy said, and the ETag it said it under."""

    document: ProxyDocument
    etag: str | None


@dataclass(frozen=True, slots=True)
class Key:
    """A key to send, and where it came from: whoever is refused wants to know which one it was."""

    secret: str = field(repr=False)
    origin: str


@dataclass(frozen=True, slots=True)
class Event:
    """One committed revision, as the event stream tells it."""

    revision: int
    entry: ProxyDocument


class Connection:
    """Requests to one proxy under `/neuronode`. Raises `Unreachable`, `Refused` and `NotOffered`, nothing else."""

    def __init__(self, client: httpx.Client, *, key_origin: str = "") -> None:
        self._client = client
        self._key_origin = key_origin
        self._ahead: float | None = None

    def now(self) -> float:
        """Return Unix time by the proxy's clock, which is what its records go by; it is asked where it has not said.

        Where it does not say what time it is, this machine's clock counts.
        """
        if self._ahead is None:
            self._send("GET", "/profiles/status")
        return time.time() + (self._ahead or 0.0)

    def get(self, path: str, **params: object) -> HttpAnswer:
        """Return what a route shows; parameters that are None are left out."""
        return self._answer(self._send("GET", path, params=stated(params)))

    def text(self, path: str, **params: object) -> str:
        """Return what a route shows as a text of its own kind."""
        response = self._send("GET", path, params=stated(params))
        self._refuse(response)
        return response.text

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        if_match: str | None = None,
        params: Mapping[str, object] | None = None,
        patience: float = 0.0,
    ) -> HttpAnswer:
        """Send a write, again when nobody can tell whether it was done: an Idempotency-Key makes sure that it is once.

        `patience` is how many seconds the answer may take beyond what any may.
        """
        options = {"params": stated(params or {}), "json": body}
        if patience:
            options["timeout"] = httpx.Timeout(60 + patience, connect=5)
        headers = {"Idempotency-Key": secrets.token_hex(16)} | ({"If-Match": if_match} if if_match else {})
        send = partial(self._send, method, path, headers=headers, **options)
        try:
            return self._answer(send())
        except (Unreachable, Refused) as error:
            if isinstance(error, Refused) and error.code != CommitUnknown.code:
                raise
            doubt = error
        try:
            return self._answer(send())
        except (Unreachable, Refused) as error:
            # What cannot be done now, the first attempt may have done.
            raise doubt if error.passing else error from None

    def status_without_key(self, path: str) -> int:
        """Return the status that a caller without a key gets for a path of the proxy's own."""
        request = self._client.build_request("GET", path)
        del request.headers["Authorization"]
        try:
            return self._client.send(request).status_code
        except httpx.HTTPError as error:
            raise _unreachable(error) from error

    def events(self, after: int) -> Iterator[Event | None]:
        """Yield every revision after `after` as it is served, and None whenever the proxy says it is still there."""
        headers = {"Last-Event-ID": str(after)}
        try:
            for sent in self.stream("GET", "/events", headers=headers):
                yield Event(int(sent.id), read_answer(sent.data)) if sent is not None else None
        except ValueError as error:
            raise NotOffered("The event stream is not one of this plugin.") from error

    def stream(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[ServerSentEvent | None]:
        """Yield each event that a route sends, and None for its first answer and any sign of life."""
        timeout = httpx.Timeout(SILENCE_SECONDS, connect=5)
        wanted = {"Accept": "text/event-stream", **(headers or {})}
        try:
            with self._client.stream(
                method, PREFIX + path, params=stated(params or {}), headers=wanted, timeout=timeout
            ) as response:
                if response.is_error:
                    response.read()
                self._refuse(response)
                yield None
                # A comment, which says that the proxy is still there, comes as an event without data.
                yield from (sent if sent.data else None for sent in EventSource(response).iter_sse())
        except SSEError as error:
            raise NotOffered("The event stream is not one of this plugin.") from error
        except httpx.HTTPError as error:
            raise _unreachable(error) from error

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._client.request(method, PREFIX + path, **options)
        except httpx.HTTPError as error:
            raise _unreachable(error) from error
        self._ahead = _ahead(response)
        return response

    def _refuse(self, response: httpx.Response) -> None:
        try:
            _refuse(response)
        except Refused as error:
            if error.status == httpx.codes.UNAUTHORIZED and self._key_origin:
                error.fix = f"{error.fix} The key that was sent is {self._key_origin}."
            raise

    def _answer(self, response: httpx.Response) -> HttpAnswer:
        self._refuse(response)
        return HttpAnswer(read_answer(response.content), response.headers.get("etag"))


@contextmanager
def connect(url: str, state_dir: Path | None = None, *, hurried: bool = False) -> Iterator[Connection]:
    """Yield a connection to the proxy at `url`, with or without `/v1`. Raises `SettingsError`.

    `state_dir` is where `serve` keeps its key; None: where the environment says, or else beside the configuration.
    Who is `hurried` waits for a second, and types no key.
    """
    address = url.strip().rstrip("/").removesuffix("/v1")
    try:
        parsed = httpx.URL(address)
    except httpx.InvalidURL as error:
        raise SettingsError("The address cannot be used.", fix=_URL_MEND) from error
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        raise SettingsError("The address cannot be used.", fix=_URL_MEND)
    nearby = parsed.host in LOOPBACK
    key = find_key(nearby=nearby, state_dir=state_dir, may_ask=not hurried)
    with httpx.Client(
        base_url=address,
        headers={"Authorization": f"Bearer {key.secret}"},
        timeout=HURRIED if hurried else TIMEOUT,
        trust_env=not nearby,  # a company's proxy cannot reach this machine
        # Reading every certificate authority takes 20 ms and more, which nobody needs who speaks no TLS. Whatever
        # should all the same be https would trust nobody.
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if parsed.scheme == "http" else True,
    ) as client:
        yield Connection(client, key_origin=key.origin)


_URL_MEND = "Write it as http://host:port, without a name or password in it."


def find_key(*, nearby: bool, state_dir: Path | None = None, may_ask: bool = True) -> Key:
    """Return the key to send: LITELLM_API_KEY, or for a proxy on this machine the one `serve` keeps, or a typed one.

    Raises `SettingsError` where nobody can be asked, and for what cannot be sent.
    """
    key = _key(nearby=nearby, state_dir=state_dir, may_ask=may_ask)
    require_sendable(key.secret, f"The key to send, {key.origin},")
    return key


def _key(*, nearby: bool, state_dir: Path | None, may_ask: bool) -> Key:
    environ = process_environment()
    if state_dir is not None:
        environ = {**environ, variable("state_dir"): str(state_dir)}
    kept = state_directory(environ) / "master_key"
    found = nearby and kept.is_file()
    # A directory that was named on the command line is meant; the variable may be left over from elsewhere.
    given = environ.get(KEY_VARIABLE, "").strip()
    if given and not (found and state_dir is not None):
        return Key(given, f"that of {KEY_VARIABLE}")
    if found:
        try:
            return Key(kept.read_text("utf-8", "replace").strip(), f"that of {kept}")
        except OSError as error:
            raise SettingsError(f"The key file {kept} cannot be read.", fix=_KEY_MEND) from error
    if not (may_ask and sys.stdin.isatty()):
        looked = f", and {kept} is not there" if nearby else ""
        raise SettingsError(f"There is no key to send: {KEY_VARIABLE} is not set{looked}.", fix=_KEY_MEND)
    typed = str(click.prompt("Key of the proxy", hide_input=True, err=True))
    return Key(typed.strip(), "the one you typed")


_KEY_MEND = (
    f"Set {KEY_VARIABLE} to a key of the proxy, or say where `neuronode serve` keeps its own: `neuronode status "
    "--state-dir DIRECTORY`."
)


def checked(connection: Connection, body: object) -> list[Problem]:
    """Return what is wrong with a profile, or with the proxy's own files when the body is None."""
    verdict = connection.send("POST", "/proof/validate", body).document
    return [problem_of(place) for place in verdict["problems"]]


def problem_of(document: Mapping[str, Any]) -> Problem:
    """Return a problem as the admin API shows it."""
    texts = {name: str(document.get(name, "")) for name in ("code", "message", "fix", "file", "path")}
    texts["path"] = _PART.sub("", texts["path"])
    texts["fix"] = in_options(texts["fix"])
    return Problem(**texts, line=int(document.get("line", 0)), column=int(document.get("column", 0)))


def _refuse(response: httpx.Response) -> None:
    """Raise what an error response says; return for any other."""
    if response.is_success:
        return
    said = _problem(response)
    missing = response.status_code in (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED)
    if missing and (said is None or said.get("code") in ("no_such_path", "method_not_allowed")):
        raise NotOffered(f"This proxy does not offer {response.request.url.path}.")
    if said is not None:
        raise refusal(response.status_code, said)
    # LiteLLM's own errors repeat parts of keys and prompts: only their status is ours to show.
    raise Refused(
        response.status_code,
        "refused",
        f"The proxy answered {response.status_code} {response.reason_phrase}.",
        fix=f"Check {KEY_VARIABLE} and --url; the proxy's log says more.",
    )


def _problem(response: httpx.Response) -> ProxyDocument | None:
    """Return the problem document that an error response is, None for one that is none of ours."""
    if not response.headers.get("content-type", "").startswith(PROBLEM_TYPE):
        return None
    try:
        return read_answer(response.content)
    except NotOffered:
        return None


def refusal(status: int, document: Mapping[str, Any]) -> Refused:
    """Return what a problem document says."""
    places = [problem_of(place) for place in document.get("problems", ())]
    return Refused(
        status,
        str(document.get("code", "refused")),
        str(document.get("detail", "")),
        fix=in_options(str(document.get("fix", ""))),
        problems=places,
    )


def in_options(text: str) -> str:
    """Return an advice of the admin API in the words of the command line.

    Fields are options of the command that runs, and routes that a command asks are that command.
    """
    for route, words in _COMMANDS:
        text = text.replace(route, words)
    context = click.get_current_context(silent=True)
    options = {parameter.name for parameter in context.command.params} if context else set()

    def option(found: re.Match[str]) -> str:
        name, value = OPTIONS.get(found["name"], found["name"]), found["value"]
        if name not in options:
            return found[0]
        return f"`--{name.replace('_', '-')}{f' {value}' if value else ''}`"

    return _FIELD.sub(option, text)


_COMMANDS = (
    (
        "GET /admin/profiles/status, or repeat with the same Idempotency-Key: it is not done twice",
        "`neuronode status`",
    ),
    ("POST /admin/proof/validate?live=1&wake=1", "`neuronode profile validate --live --wake`"),
    ("POST /admin/proof/validate?live=1", "`neuronode profile validate --live`"),
    ("GET /admin/profiles/status", "`neuronode status`"),
    ("GET /admin/rollouts or ", ""),
    ("GET /admin/shadows or ", ""),
    ("GET /admin/proof/matrix", "`neuronode profile matrix`"),
    ("GET /admin/audit", "`neuronode audit tail`"),
)
"""Longer ones first. No command reloads the profiles: who types edits them, and they are read at once."""
OPTIONS = {"from": "since", "to": "until"}
"""Fields whose option is called otherwise."""
_FIELD = re.compile(r"`(?P<name>[a-z_]+)(?:: (?P<value>[a-z]+))?`")
_PART = re.compile(r"^(?:body|query)(?:\.|$)")
"""Where a value stood in the request: who types options knows of no body."""


def _ahead(response: httpx.Response) -> float:
    """Return by how many seconds the clock of whoever answered is ahead of this machine's; 0.0 where hardly any."""
    try:
        ahead = parsedate_to_datetime(response.headers["date"]).timestamp() - time.time()
    except (KeyError, ValueError, OverflowError):
        return 0.0
    return ahead if abs(ahead) > RIGHT_SECONDS else 0.0


def _unreachable(error: httpx.HTTPError) -> Unreachable:
    return Unreachable(f"The proxy did not answer: {error or type(error).__name__}.")


def stated(params: Mapping[str, object]) -> dict[str, Any]:
    """Return what is said: what is None is not."""
    return {name: value for name, value in params.items() if value is not None}
