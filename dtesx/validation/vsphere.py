"""Checks of the VMware server, as far as they need no plan."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dtesx.base.errors import UntrustedCertificate
from dtesx.model.job import Problem
from dtesx.model.validation import Check, Finding
from dtesx.validation.facts import VsphereFacts
from dtesx.validation.judging import Judge, error, known

LEAST_VERSION = (6, 5)
"""The guest identifiers and fault classes that dtesx uses exist from this API version on."""


def away(problem: Problem) -> Finding:
    """A server that did not let us in."""
    if problem.code == UntrustedCertificate.code:
        fix = "trusts the certificate whose thumbprint is given with --trust-thumbprint"
        return error(Check.CERTIFICATE, problem.message, problem.hint, fix)
    return error(Check.VSPHERE, problem.message, problem.hint)


def _version(facts: VsphereFacts) -> Iterator[Finding]:
    numbers = tuple(int(number) for number in re.findall(r"\d+", facts.about.version)[:2])
    if numbers < LEAST_VERSION:
        yield error(
            Check.VSPHERE_VERSION,
            f"{facts.about.product} {facts.about.version} is too old",
            "dtesx needs vSphere 6.5 or newer",
        )


def _licence(facts: VsphereFacts) -> Iterator[Finding]:
    if facts.read_only:
        yield error(
            Check.LICENCE,
            "this ESXi host has the free edition, whose API changes nothing: no replica can be made there",
            "give the host a licence that allows changes through the API, or work through a vCenter",
        )


JUDGES = (
    Judge(Check.CERTIFICATE, "the VMware server shows the certificate that is trusted", known),
    Judge(Check.VSPHERE, "the VMware server lets the appliance log in", known),
    Judge(Check.VSPHERE_VERSION, "the VMware server's version is supported", _version),
    Judge(Check.LICENCE, "the VMware server's licence allows changes", _licence),
)
