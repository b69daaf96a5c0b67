"""Classes out of names and folders, and which files are chosen."""

from __future__ import annotations

import pytest

from gan_audio.data.labels import NamePattern, by_pattern, is_chosen


def fields(pattern, name):
    return NamePattern.of(pattern).match(name)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("{label}_{speaker}_{index}.wav", "7_jackson_32.wav", {"label": "7", "speaker": "jackson", "index": "32"}),
        ("{label}_{speaker}_{index}", "7_jackson_32.flac", {"label": "7", "speaker": "jackson", "index": "32"}),
        ("{label}_{index}", "sets/a/yes_3.wav", {"label": "yes", "index": "3"}),
        ("{label}_{rest}", "out_of_tune.wav", {"label": "out", "rest": "of_tune"}),
        ("{a}-{b}--{c}", "1--2--3.ogg", {"a": "1", "b": "-2", "c": "3"}),
        ("take {n} of {label} (mono)", "take 2 of snare (mono).wav", {"n": "2", "label": "snare"}),
        ("{speaker}/{label}.wav", "x/george/zero.wav", {"speaker": "george", "label": "zero"}),
        ("{a}.{b}", "v1.2.wav", {"a": "v1", "b": "2"}),
        ("{label}.WAV", "dog.wav", {"label": "dog"}),
    ],
)
def test_fields_of_a_name_are_found(pattern, name, expected):
    assert fields(pattern, name) == expected


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("{label}_{speaker}_{index}.wav", "7_jackson.wav"),
        ("{label}_{index}.wav", "7_32.flac"),
        ("{label}_{index}", "_32.wav"),
        ("{label}_{index}", "7_.wav"),
        ("{speaker}/{label}", "zero.wav"),
        ("{label}_{n}x", "a_x.wav"),
        ("x{label}x", "xx.wav"),
        ("a{label}", "b1.wav"),
    ],
)
def test_name_of_another_form_has_no_fields(pattern, name):
    assert fields(pattern, name) is None


def test_name_of_nothing_but_separators_is_looked_at_quickly():
    # A regular expression of lazy fields would try more ways than can be counted.
    pattern = NamePattern.of("_".join(f"{{f{n}}}" for n in range(30)) + "_end")
    assert pattern.match("_" * 250 + ".wav") is None


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("label", "no field"),
        ("{label}{index}", "nothing between"),
        ("{label}_{label}", "more than once"),
        ("{la bel}", "named by letters"),
        ("{}_{label}", "named by letters"),
        ("{label}_{index", "without its partner"),
    ],
)
def test_pattern_that_means_nothing_is_refused(pattern, problem):
    with pytest.raises(ValueError, match=problem):
        NamePattern.of(pattern)


def test_classes_by_pattern_are_the_label_field():
    pattern = NamePattern.of("{label}_{n}")
    assert by_pattern(["cat_1.wav", "b/dog_2.wav", "cat.wav"], pattern) == ["cat", "dog", None]


@pytest.mark.parametrize(
    ("name", "include", "exclude", "chosen"),
    [
        ("x/7_a_4.wav", (), (), True),
        ("x/7_a_4.wav", (), ("*_[0-4].wav",), False),
        ("x/7_a_14.wav", (), ("*_[0-4].wav",), True),
        ("x/7_a_4.wav", ("7_*",), (), True),
        ("x/7_a_4.wav", ("8_*", "7_*"), (), True),
        ("x/7_a_4.wav", ("x",), (), False),
        ("x/7_a_4.wav", ("x/*",), (), True),
        ("y/x/7_a_4.wav", ("x/*",), (), False),
        ("x/7_a_4.wav", ("x/*",), ("*.wav",), False),
    ],
)
def test_globs_choose_files(name, include, exclude, chosen):
    assert is_chosen(name, include, exclude) is chosen
