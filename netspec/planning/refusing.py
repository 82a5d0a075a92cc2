"""A rule's refusal as a finding, at the parameter that it names."""

from __future__ import annotations

from netspec.catalogue.component import Refusal
from netspec.diagnostics import Code
from netspec.spec.document import Route
from netspec.spec.findings import Findings
from netspec.spec.model import Entry, Named


def refuse(
    refusal: Refusal,
    named: Named,
    findings: Findings,
    code: Code,
    via: tuple[Route, ...] = (),
    *,
    warning: bool = False,
) -> None:
    """Against a component; at its name where the parameter is not written."""
    written = refusal.param is not None and refusal.param in named.args
    path = (*named.path, str(refusal.param), *refusal.within) if written else named.path
    message = refusal.message
    if not message.startswith(named.type):
        message = f"{named.type}: {message}"
    say = findings.warn if warning else findings.add
    say(code, message, path, refusal.remedy, key=not written, via=via)


def refuse_layer(refusal: Refusal, entry: Entry, findings: Findings, code: Code) -> None:
    """Against a layer."""
    written = findings.document.node(entry.path).value
    path = (*entry.path, entry.type) if isinstance(written, dict) else entry.path
    refuse(refusal, Named(entry.type, entry.args, path), findings, code, entry.via)
