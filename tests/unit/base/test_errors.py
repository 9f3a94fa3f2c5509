from __future__ import annotations

from dtesx.base import errors


def test_errors_survive_the_api_by_their_code() -> None:
    rebuilt = errors.from_code("target-full", "no space", "add some")
    assert isinstance(rebuilt, errors.TargetFull)
    assert (rebuilt.message, rebuilt.hint, rebuilt.exit_code) == ("no space", "add some", 7)


def test_an_untrusted_certificate_keeps_its_thumbprint() -> None:
    rebuilt = errors.from_code("untrusted-certificate", "m", "h", thumbprint="AA:BB")
    assert isinstance(rebuilt, errors.UntrustedCertificate)
    assert rebuilt.thumbprint == "AA:BB"


def test_an_unknown_code_is_still_an_error() -> None:
    assert type(errors.from_code("from-the-future", "m", "h")) is errors.DtesxError


def test_codes_are_unique() -> None:
    classes: list[type[errors.DtesxError]] = [errors.DtesxError]
    for cls in classes:
        classes.extend(cls.__subclasses__())
    # A class without a code of its own travels as its parent.
    codes = [cls.code for cls in classes if "code" in vars(cls) and cls.__module__.startswith("dtesx.")]
    assert sorted(codes) == sorted(set(codes))
