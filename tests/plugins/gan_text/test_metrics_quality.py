"""BLEU, self-BLEU and backward BLEU of samples, their errors, and the plane of quality and diversity."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from PIL import Image
from toys.texts import compared

from gan_text.metrics import plot
from gan_text.metrics.curve import Spot, lead
from gan_text.metrics.plot import Mark, Panel, draw
from gan_text.metrics.quality import Options, build, standard_error
from gancore.evaluation.records import faults

REAL = ["a man rides a horse .", "a dog runs in the park .", "the man runs .", "a horse in the park"]
TRAIN = ["a man runs in the park .", "the dog rides a horse", "a horse runs .", "the park .", "a dog ."]
OURS = ["a man runs .", "a dog rides the man .", "a dog rides the park ."]
OTHERS = {
    "mle 0.7": ["a man runs in the park .", "a man runs .", "a dog runs ."],
    "mle 1.0": ["park the a", "horse in a man", "a dog ."],
}


def by_nltk(hypotheses, references, n):
    scores = [
        sentence_bleu(references(i), one, (1 / n,) * n, SmoothingFunction().method1) for i, one in enumerate(hypotheses)
    ]
    return np.mean(scores), np.std(scores, ddof=1) / math.sqrt(len(scores))


def wanted(samples, references, n):
    """Mean and standard error of the three kinds, by nltk."""
    ours, theirs = ([text.split() for text in texts] for texts in (samples, references))
    return {
        f"bleu-{n}": by_nltk(ours, lambda _: theirs, n),
        f"self-bleu-{n}": by_nltk(ours, lambda i: ours[:i] + ours[i + 1 :], n),
        f"backward-bleu-{n}": by_nltk(theirs, lambda _: ours, n),
    }


def found(*sets, held_out=True, others=None, **options):
    spec, material = compared(*sets, others, held_out=held_out)
    answer = build(Options(**options), spec)(material)
    assert not faults(answer)
    return answer


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_figures_and_errors_are_those_of_nltk(n):
    figures = found(OURS, REAL, TRAIN, others=OTHERS).figures
    ours, real = wanted(OURS, REAL, n), wanted(TRAIN[:3], REAL, n)
    others = {name: wanted(texts, REAL, n) for name, texts in OTHERS.items()}
    for name, (mean, error) in ours.items():
        for key, place, value in ((name, 0, mean), (f"standard-error/{name}", 1, error)):
            assert figures[key].value == pytest.approx(value, abs=1e-12)
            assert figures[key].real == pytest.approx(real[name][place], abs=1e-12)
            assert figures[key].others == pytest.approx({k: o[name][place] for k, o in others.items()}, abs=1e-12)


def test_real_texts_that_were_trained_on_are_compared_with_each_other():
    figures = found(OURS, REAL, [*REAL, *TRAIN], held_out=False).figures
    among, _ = wanted(REAL, REAL, 3)["self-bleu-3"]
    assert [figures[f"{kind}bleu-3"].real for kind in ("", "self-", "backward-")] == pytest.approx([among] * 3)


def test_texts_can_be_held_against_those_trained_on():
    figures = found(OURS, REAL, TRAIN, references="train").figures
    assert figures["bleu-3"].value == pytest.approx(wanted(OURS, TRAIN, 3)["bleu-3"][0])
    assert figures["bleu-3"].real == pytest.approx(wanted(REAL[:3], TRAIN, 3)["bleu-3"][0])


def test_limits_leave_texts_out():
    figures = found(OURS, REAL, TRAIN, limit=2).figures
    assert figures["self-bleu-2"].value == pytest.approx(wanted(OURS[:2], REAL[:2], 2)["self-bleu-2"][0])
    figures = found(OURS, REAL, TRAIN, backward_limit=1).figures
    assert figures["backward-bleu-2"].value == pytest.approx(
        sentence_bleu([t.split() for t in OURS], REAL[0].split(), (0.5, 0.5), SmoothingFunction().method1)
    )
    assert figures["bleu-2"].value == pytest.approx(wanted(OURS, REAL, 2)["bleu-2"][0])


def test_single_sample_has_no_self_bleu():
    figures = found(OURS[:1], REAL, TRAIN).figures
    assert "bleu-2" in figures
    assert not any("self-bleu" in name for name in figures)
    figures = found(OURS, REAL[:1], REAL[:1], held_out=False).figures
    assert figures["self-bleu-2"].real is None


def test_empty_texts_are_worth_nothing():
    figures = found(["", ""], REAL, TRAIN).figures
    assert {figures[f"{kind}bleu-2"].value for kind in ("", "self-", "backward-")} == {0.0}


def test_lead_is_there_where_there_are_others():
    assert not any(name.startswith("lead") for name in found(OURS, REAL, TRAIN).figures)
    figures = found(OURS, REAL, TRAIN, others=OTHERS, order=2).figures

    def spot(texts, family):
        x, y = (wanted(texts, REAL, 2)[name] for name in (f"{family}-2", "bleu-2"))
        return Spot(x[0], y[0], x[1], y[1])

    for family in ("self-bleu", "backward-bleu"):
        curve = [spot(texts, family) for texts in OTHERS.values()]
        expected = lead(spot(OURS, family), curve, rising=family == "backward-bleu")
        assert figures[f"lead/{family}"].value == pytest.approx(expected)


# --- the lead over a curve --------------------------------------------------------------------------------------------


CURVE = [Spot(0.9, 0.6, 0.0, 0.03), Spot(0.5, 0.2, 0.0, 0.04)]


def test_lead_is_the_height_over_the_line_in_errors():
    # At 0.6 the line is at 0.3; its error has a quarter of 0.03 and three quarters of 0.04.
    error = math.hypot(0.01, 0.25 * 0.03, 0.75 * 0.04)
    assert lead(Spot(0.6, 0.5, 0.0, 0.01), CURVE, rising=False) == pytest.approx(0.2 / error)


def test_less_than_the_line_is_a_loss():
    assert lead(Spot(0.6, 0.2, 0.0, 0.01), CURVE, rising=False) == pytest.approx(-0.1 / math.hypot(0.01, 0.0075, 0.03))


def test_errors_along_diversity_count_by_the_slope():
    # Half-way a line of slope 2, whose height at 0.5 is 0.5; the distance to a line does not depend on where it begins.
    curve = [Spot(0.0, -0.5), Spot(1.0, 1.5)]
    height, error = 0.3, math.hypot(0.04, 2 * 0.03)
    assert lead(Spot(0.5, 0.8, 0.03, 0.04), curve, rising=False) == pytest.approx(height / error)
    assert lead(Spot(0.5, 0.2, 0.03, 0.04), curve, rising=False) == pytest.approx(-height / error)


@given(
    slope=st.floats(0.1, 50.0),
    x=st.floats(0.4, 0.6),
    height=st.floats(-0.02, 0.02),
    errors=st.tuples(st.floats(0.001, 0.01), st.floats(0.001, 0.01)),
)
def test_lead_over_a_straight_line_is_what_propagation_of_errors_gives(slope, x, height, errors):
    curve = [Spot(0.0, 0.0), Spot(1.0, slope)]
    own = Spot(x, slope * x + height, *errors)
    wanted = height / math.hypot(slope * errors[0], errors[1])
    assert lead(own, curve, rising=False) == pytest.approx(wanted, rel=1e-3, abs=1e-3)


def test_lead_over_an_upright_line_is_that_along_diversity():
    # However far above its lower end: the line itself is one error of diversity away.
    curve = [Spot(0.5, 0.9), Spot(0.5001, 0.1)]
    for x, wanted in ((0.51, 1.0), (0.49, -1.0)):
        assert lead(Spot(x, 0.5, 0.01, 0.001), curve, rising=True) == pytest.approx(wanted, rel=0.02)


def test_lead_at_a_point_of_the_curve_is_over_that_point():
    middle = [*CURVE, Spot(0.7, 0.5, 0.0, 0.03)]
    assert lead(Spot(0.7, 0.3, 0.0, 0.04), [CURVE[0], middle[2], CURVE[1]], rising=False) == pytest.approx(-0.2 / 0.05)


def test_of_a_curve_that_turns_back_only_the_best_places_count():
    # As temperature rises, backward BLEU does first and falls then.
    curve = [Spot(0.4, 0.7, 0.0, 0.03), Spot(0.6, 0.5, 0.0, 0.03), Spot(0.4, 0.1, 0.0, 0.03)]
    error = math.hypot(0.04, 0.5 * 0.03, 0.5 * 0.03)
    assert lead(Spot(0.5, 0.5, 0.0, 0.04), curve, rising=True) == pytest.approx(-0.1 / error)
    assert lead(Spot(0.7, 0.6, 0.0, 0.04), curve, rising=True) == pytest.approx(0.1 / 0.05)
    # Worse in both than the turning point, though close to the part below it.
    assert lead(Spot(0.42, 0.15, 0.04, 0.1), curve, rising=True) < -3.0


def test_points_of_a_curve_above_each_other_are_a_line():
    curve = [Spot(0.5, 0.2, 0.1, 0.03), Spot(0.5, 0.4, 0.1, 0.03)]
    assert lead(Spot(0.5, 0.3, 0.1, 0.04), curve, rising=False) == 0.0
    assert lead(Spot(0.7, 0.3, 0.1, 0.04), curve, rising=False) == pytest.approx(-0.2 / math.hypot(0.1, 0.1 / 2**0.5))
    assert lead(Spot(0.3, 0.3, 0.1, 0.04), curve, rising=False) == pytest.approx(0.2 / math.hypot(0.1, 0.1))


@pytest.mark.parametrize("rising", [False, True])
@pytest.mark.parametrize(
    ("x", "y", "wanted"),
    [
        (0.5, 0.61, 0.25),  # over the step
        (0.5, 0.58, -0.5),  # under it
        (0.405, 0.7, 0.125),  # beside it
        (0.39, 0.58, -math.hypot(0.25, 0.5)),  # under its corner
    ],
)
def test_between_the_best_places_of_a_curve_that_turns_back_there_is_a_step(x, y, wanted, rising):
    # It dives where x is .4 and comes back to a height of .6: the corner of the step is at both.
    sign = 1.0 if rising else -1.0
    curve = [Spot(sign * at, up) for at, up in ((0.2, 0.9), (0.4, 0.7), (0.4, 0.4), (0.6, 0.6))]
    assert lead(Spot(sign * x, y, 0.04, 0.04), curve, rising=rising) == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("middle", [0.6, 0.601, 0.602])
def test_whether_a_line_rises_or_falls_by_less_than_its_errors_does_not_matter(middle):
    curve = [Spot(x, y, 0.002, 0.002) for x, y in ((0.3, 0.7), (0.31, middle), (0.4, 0.601))]
    error = math.hypot(0.002, 0.002)
    for y in (0.596, 0.6005, 0.6011, 0.606):
        assert lead(Spot(0.35, y, 0.002, 0.002), curve, rising=True) == pytest.approx((y - 0.601) / error, abs=0.6)


@given(
    curve=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=5),
    own=st.tuples(st.floats(-1, 9), st.floats(-1, 9)),
    better=st.tuples(st.floats(0, 3), st.floats(0, 3)),
)
def test_who_is_better_in_both_coordinates_leads_by_no_less(curve, own, better):
    spots = [Spot(float(x), float(y)) for x, y in curve]
    before, after = (Spot(own[0] + n * better[0], own[1] + n * better[1], 1.0, 1.0) for n in (0, 1))
    assert lead(after, spots, rising=True) >= lead(before, spots, rising=True) - 0.02


@pytest.mark.parametrize("rising", [False, True])
@pytest.mark.parametrize(
    ("x", "y", "wanted"),
    [
        (0.4, 0.3, 2.0),  # more diverse than the end, and above it
        (0.4, 0.1, 0.0),  # more diverse and below: the curve may be lower there
        (1.0, 0.7, 0.0),  # less diverse and above: the curve may be higher there
        (1.0, 0.5, -2.0),
    ],
)
def test_beyond_the_curve_only_what_is_sure_is_said(x, y, wanted, rising):
    sign = -1.0 if rising else 1.0
    curve = [Spot(sign * 0.9, 0.6, 0.0, 0.03), Spot(sign * 0.5, 0.2, 0.0, 0.03)]
    assert lead(Spot(sign * x, y, 0.0, 0.04), curve, rising=rising) == pytest.approx(wanted)


def test_just_beyond_the_end_the_errors_along_diversity_count():
    # Far above the most diverse place, but hardly more diverse than it: it may lie on the line.
    curve = [Spot(0.50, 0.9, 0.002, 0.002), Spot(0.51, 0.1, 0.002, 0.002)]
    error = math.hypot(0.002, 0.003)
    assert lead(Spot(0.511, 0.6, 0.003, 0.002), curve, rising=True) == pytest.approx((0.511 - 0.50375) / error, rel=0.1)


def test_lead_is_continuous_over_the_ends_of_the_curve():
    curve = [Spot(0.4, 0.7, 0.01, 0.01), Spot(0.6, 0.5, 0.01, 0.01)]
    for x, y in ((0.6, 0.6), (0.6, 0.3), (0.4, 0.9), (0.4, 0.6)):
        before, after = (lead(Spot(x + d, y, 0.01, 0.01), curve, rising=True) for d in (-1e-6, 1e-6))
        assert before == pytest.approx(after, abs=1e-3)


def test_lead_without_errors_is_finite():
    assert lead(Spot(0.4, 0.3), [Spot(0.5, 0.2)], rising=False) == 1e6
    assert lead(Spot(0.5, 0.2), [Spot(0.5, 0.2)], rising=True) == 0.0
    with pytest.raises(ValueError, match="at least one other"):
        lead(Spot(0.5, 0.2), [], rising=True)


def test_standard_error_is_the_deviation_by_the_root_of_the_number():
    assert standard_error(np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(math.sqrt(5 / 3) / 2)
    assert standard_error(np.array([1.0])) == 0.0


# --- the picture ------------------------------------------------------------------------------------------------------


def opened(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def coloured(pixels, colour):
    return np.abs(pixels - np.array(colour)).max(axis=2) < 12


def test_metric_draws_both_planes():
    pictures = found(OURS, REAL, TRAIN, others=OTHERS).pictures
    assert list(pictures) == ["quality-diversity"]
    pixels = opened(pictures["quality-diversity"])
    assert pixels.shape == (plot.HEIGHT, 2 * plot.WIDTH, 3)
    for half in (pixels[:, : plot.WIDTH], pixels[:, plot.WIDTH :]):
        for colour in plot.COLOURS.values():
            assert coloured(half, colour).sum() > 50


def test_points_stand_where_their_values_are():
    spots = (Spot(0.0, 0.0), Spot(1.0, 1.0))
    pixels = opened(
        draw([Panel("x", "y", (Mark("corners", "curve", spots), Mark("own", "star", (Spot(0.25, 0.75),))))])
    )
    plane = slice(plot.TOP, plot.HEIGHT - plot.BOTTOM)
    rows, columns = np.nonzero(coloured(pixels[plane, plot.LEFT :], plot.COLOURS["star"]))
    room = 0.08
    width, height = plot.WIDTH - plot.LEFT - plot.RIGHT, plot.HEIGHT - plot.TOP - plot.BOTTOM
    assert columns.mean() == pytest.approx((0.25 + room) / (1 + 2 * room) * width, abs=1.5)
    assert rows.mean() == pytest.approx((0.25 + room) / (1 + 2 * room) * height, abs=1.5)


def test_error_bars_reach_two_errors():
    far = Mark("far", "curve", (Spot(0.0, 0.0),))
    own = Mark("own", "diamond", (Spot(0.5, 1.0, 0.1, 0.0),))
    pixels = opened(draw([Panel("x", "y", (far, own))]))
    plane = coloured(pixels[plot.TOP : plot.HEIGHT - plot.BOTTOM, plot.LEFT :], plot.COLOURS["diamond"])
    columns = np.nonzero(plane.any(axis=0))[0]
    whole = 0.7 * 1.16
    width = plot.WIDTH - plot.LEFT - plot.RIGHT
    assert columns[-1] - columns[0] == pytest.approx(0.4 / whole * width, abs=3)


def test_picture_needs_no_scalable_font(monkeypatch):
    monkeypatch.setattr(plot, "_scalable", lambda: False)
    mark = Mark("mle", "curve", (Spot(0.1, 0.2), Spot(0.3, 0.1)), ("mle 0.7", "mle 1.0"))
    pixels = opened(draw([Panel("across", "up", (mark,))]))
    assert (pixels[-plot.BOTTOM + 30 :].min(axis=2) < 90).sum() > 20


def test_plane_of_a_single_point_can_be_drawn():
    assert opened(draw([Panel("x", "y", (Mark("own", "star", (Spot(0.0, 0.0),)),))])).shape[2] == 3
    with pytest.raises(ValueError, match="at least one point"):
        draw([Panel("x", "y", ())])
