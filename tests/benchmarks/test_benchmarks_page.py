"""The page about performance shows the saved results, all of them and nothing else."""

from xml.etree import ElementTree

from benchmarks import page, parts, results
from benchmarks.catalogue import BENCHMARKS
from benchmarks.reporter import calls


def test_the_page_is_what_the_saved_results_make():
    """Nobody has edited figures, and every benchmark is on it."""
    saved = results.load()
    text = page.PAGE.read_text()
    assert page.filled(text, saved) == text
    assert all(f"<!-- measured: {name} -->" in text for name in [*BENCHMARKS, "machine"])
    assert page.PICTURE.read_text() == page.picture(saved["reporter"])


def test_the_picture_shows_every_contender():
    """It is XML, and has a dot for each percentile of each contender, and one for each in its key."""
    result = results.load()["reporter"]
    picture = ElementTree.fromstring(page.picture(result))
    shown = calls.figures(parts.of("calls", result.samples))
    texts = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert set(shown) <= set(texts)
    assert len(list(picture.iter("{http://www.w3.org/2000/svg}circle"))) == len(calls.MARKS) * (len(shown) + 1)
