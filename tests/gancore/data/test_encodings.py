"""The encoding that texts are in, guessed from a few words of them."""

from __future__ import annotations

import pytest

from gancore.data.encodings import LOOKED_AT, decode, how_to_convert, likely_encoding

TEXTS = {
    "utf-8": ["plain", "Mélodie", "旋律"],
    "utf-8-sig": ["Mélodie"],
    "utf-16": ["Melody", "旋律"],
    "utf-16-le": ["Melody", "Mélodie à deux"],
    "utf-16-be": ["Melody"],
    "cp1252": [
        "Mélodie",
        "Größe",
        "Ärger",
        "señor",
        "à la carte",
        "Été",
        "Café",
        "“naïve” … voilà",
        "Contrebasse à archet",
    ],
    "cp932": ["メロディ", "主旋律", "ドラム", "これは日本語のテキストです。", "ピアノ 2"],
    "euc_jp": ["これは日本語のテキストです。"],
    "cp1251": ["Мелодия", "Бас", "МЕЛОДИЯ", "Это русский текст, и он длиннее."],
    "koi8_r": ["Это русский текст, и он длиннее."],
    "gb18030": ["钢琴", "旋律", "这是一个中文文本。"],
    "big5": ["這是一個中文文本。"],
    "cp949": ["멜로디", "이것은 한국어 텍스트입니다."],
}


@pytest.mark.parametrize(("codec", "text"), [(codec, text) for codec, texts in TEXTS.items() for text in texts])
def test_encoding_of_a_few_words_is_found(codec, text):
    assert likely_encoding(text.encode(codec)) == codec
    assert decode(text.encode(codec)) == text


@pytest.mark.parametrize("codec", ["utf-8", "cp932", "gb18030"])
def test_character_that_is_cut_where_looking_ends_is_no_mistake(codec):
    data = b"x" + "文字".encode(codec) * LOOKED_AT
    assert likely_encoding(data) == codec


def test_bytes_that_are_no_text_are_read_as_something():
    assert decode(b"a\x81\x8d\xffb").startswith("a")
    assert likely_encoding(b"") == "utf-8"


def test_way_to_convert_names_the_encoding_as_iconv_does():
    assert "iconv -f SHIFT_JIS -t UTF-8" in how_to_convert("cp932")
