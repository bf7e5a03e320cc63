from datetime import date

import pytest

from serving.analytics.annotations import AnnotationsFileError, annotations_of, load_annotations
from serving.analytics.periods import Period

NOVEMBER = Period(date(2026, 11, 1), date(2026, 11, 30))


@pytest.fixture
def written(tmp_path):
    def written(text):
        path = tmp_path / "annotations.toml"
        path.write_text(text)
        return path

    return written


def test_annotations_of_a_shop_and_period(written, tmp_path):
    path = written(
        '[[annotations]]\ndate = 2026-11-27\ntext = "Black Friday"\n'
        '[[annotations]]\nshop = "A.myshopify.com"\ndate = 2026-10-20\nuntil = 2026-11-02\ntext = "Sale"\n'
        '[[annotations]]\ndate = 2026-12-24\ntext = "later"\n'
    )
    found = load_annotations(path)
    assert [one.text for one in annotations_of(found, "a.myshopify.com", NOVEMBER)] == ["Sale", "Black Friday"]
    assert [one.text for one in annotations_of(found, "b.myshopify.com", NOVEMBER)] == ["Black Friday"]
    assert load_annotations(tmp_path / "none.toml") == []


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("[[annotations]", "correct it"),
        ("[annotations]\n", "below its own"),
        ('[[annotations]]\ndate = "2026-11-27"\ntext = "x"\n', "without quotes"),
        ('[[annotations]]\ndate = 2026-11-27\nuntil = 2026-11-01\ntext = "x"\n', "swap"),
        ("[[annotations]]\ndate = 2026-11-27\n", "say what happened"),
        ('[[annotations]]\ndate = 2026-11-27\ntext = "x"\ncolour = "red"\n', "unknown fields"),
        ('[[annotations]]\ndate = 2026-11-27\ntext = "x"\nshop = 1\n', "domain of a shop"),
    ],
)
def test_mistakes_name_the_remedy(written, text, remedy):
    with pytest.raises(AnnotationsFileError, match=remedy):
        load_annotations(written(text))
