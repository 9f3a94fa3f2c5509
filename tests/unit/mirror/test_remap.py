from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtesx.mirror.remap import Place, remapping
from dtesx.mirror.selection import select
from dtesx.model.rules import Rule, RuleType

DATA = Place(b"/srv/www", b"/replicas/www")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"/srv/www/a/b", b"/replicas/www/a/b"),
        (b"/srv/www", b"/replicas/www"),
        (b"/srv/www/", b"/replicas/www/"),
        (b"//srv/./www//a/./b/", b"/replicas/www//a/./b/"),
        (b"/srv/www/a/../b", b"/replicas/www/a/../b"),
        (b"/srv/www/not there", b"/replicas/www/not there"),
        (b"/srv/www/\xff", b"/replicas/www/\xff"),
        (b"/srv/wwwx/a", b"/srv/wwwx/a"),
        (b"/srv", b"/srv"),
        (b"/", b"/"),
        (b"/srv/www/../other", b"/srv/www/../other"),
        (b"/srv/www/a/../../other", b"/srv/www/a/../../other"),
        (b"/other/../srv/www/a", b"/other/../srv/www/a"),
        (b"srv/www/a", b"srv/www/a"),
        (b"../www/a", b"../www/a"),
        (b"", b""),
    ],
)
def test_only_what_leads_into_the_set_is_remapped(text: bytes, expected: bytes) -> None:
    assert remapping([DATA])(text) == expected


def test_what_the_rules_keep_out_is_outside() -> None:
    rules = [Rule("/srv/www/site"), Rule("/srv/www/site/cache", RuleType.EXCLUDE)]
    remap = remapping([Place(b"/srv/www", b"/replicas/www", select(rules, "/srv/www"))])
    assert remap(b"/srv/www/site/index") == b"/replicas/www/site/index"
    assert remap(b"/srv/www/site") == b"/replicas/www/site"
    for outside in (b"/srv/www/site/cache/x", b"/srv/www/else", b"/srv/www/else/x"):
        assert remap(outside) == outside


def test_the_innermost_of_several_trees_counts() -> None:
    remap = remapping([Place(b"/", b"/replicas/root"), Place(b"/srv/www", b"/replicas/1"), DATA])
    assert remap(b"/etc/passwd") == b"/replicas/root/etc/passwd"
    assert remap(b"/") == b"/replicas/root/"
    assert remap(b"/srv/www/a") == b"/replicas/1/a"


def test_a_replica_may_be_the_root_of_its_system() -> None:
    remap = remapping([Place(b"/srv/www", b"/")])
    assert (remap(b"/srv/www/a"), remap(b"/srv/www")) == (b"/a", b"/")


NAMES = st.binary(min_size=1, max_size=5).filter(
    lambda name: not {0, 47} & set(name) and name not in (b".", b"..")
)


@given(above=st.lists(NAMES, max_size=3), names=st.lists(st.one_of(NAMES, st.just(b".."), st.just(b"."))))
def test_a_remapped_link_leads_to_the_same_name_in_the_replica(
    above: list[bytes], names: list[bytes]
) -> None:
    source = b"/" + b"/".join(above)
    text = b"/".join([source.rstrip(b"/"), *names]) or b"/"
    leads = os.path.normpath(text)
    inside = os.path.relpath(leads, source)
    remapped = remapping([Place(source, b"/replica")])(text)
    if remapped != text:
        assert os.path.normpath(remapped) == os.path.normpath(b"/replica/" + inside)
        assert not inside.startswith(b"../")
