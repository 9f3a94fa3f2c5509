import pytest

from dtesx.lab.ledger import next_line, verify


def ledger(count: int) -> list[str]:
    lines: list[str] = []
    for number in range(count):
        lines.append(next_line(lines[-1] if lines else "", 1_700_000_000 + number))
    return lines


def test_a_whole_ledger_verifies() -> None:
    assert verify(ledger(20)) == 20
    assert verify([]) == 0


@pytest.mark.parametrize("damage", ["lost", "swapped", "changed", "half"])
def test_damage_is_found_where_it_is(damage: str) -> None:
    lines = ledger(10)
    match damage:
        case "lost":
            del lines[4]
        case "swapped":
            lines[4], lines[5] = lines[5], lines[4]
        case "changed":
            lines[4] = lines[4].replace("1700000004", "1700000005")
        case "half":
            lines[4] = lines[4][:30]
    with pytest.raises(ValueError, match="ledger line 5 "):
        verify(lines)
