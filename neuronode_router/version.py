"""This release. It must not import anything: the version of the package is read from here, too."""

from __future__ import annotations

VERSION = "0.1.0"
