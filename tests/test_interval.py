import pytest

from convnova.errors import InputError
from convnova.genome import Interval


def test_an_interval_measures_itself_0_based_half_open():
    interval = Interval("chrI", 1000, 2000, "-", "promoter")
    assert (interval.width, interval.center, str(interval)) == (1000, 1500, "chrI:1001-2000")


@pytest.mark.parametrize("start", [-3, 0, 7])
@pytest.mark.parametrize("width", range(6))
def test_resize_to_the_same_width_changes_nothing(start, width):
    interval = Interval("chrI", start, start + width)
    assert interval.resize(width) == interval


@pytest.mark.parametrize(
    ("width", "expected"), [(0, (15, 15)), (1, (15, 16)), (4, (13, 17)), (5, (13, 18)), (40, (-5, 35))]
)
def test_resize_keeps_the_center(width, expected):
    resized = Interval("chrI", 10, 20, "-", "x").resize(width)
    assert (resized.start, resized.end, resized.strand, resized.name) == (*expected, "-", "x")
    assert resized.center == 15


def test_shift_moves_along_the_chromosome_on_either_strand():
    assert Interval("chrI", 10, 20, "-").shift(-15) == Interval("chrI", -5, 5, "-")


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (Interval("chrI", 19, 30), True),
        (Interval("chrI", 20, 30), False),  # half-open: they touch
        (Interval("chrI", 0, 10), False),
        (Interval("chrI", 12, 13, "-"), True),
        (Interval("chrI", 15, 15), False),  # no base, so none in common
        (Interval("chrII", 10, 20), False),
    ],
)
def test_overlaps_when_a_base_is_shared(other, expected):
    interval = Interval("chrI", 10, 20, "+")
    assert interval.overlaps(other) is expected
    assert other.overlaps(interval) is expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("chrI", 20, 10), r"interval on chrI: start 20 is after end 10; start is 0-based"),
        (
            ("chrI", 0, 10, "plus"),
            r"interval chrI, start 0, end 10: strand 'plus' is not allowed; use one of \+ - \.",
        ),
    ],
)
def test_bad_intervals_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Interval(*arguments)


def test_resize_refuses_a_negative_width():
    with pytest.raises(InputError, match="cannot be -1 bp wide"):
        Interval("chrI", 0, 10).resize(-1)
