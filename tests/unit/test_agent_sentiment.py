"""How what was said sounds: scored by the model or by VADER alone, put together by period and side, and drawn."""

import json
import math
import struct
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from pay_ready.agent import evaluate_text
from pay_ready.agent.chart import Chart, Series, sparkline, write_chart
from pay_ready.agent.figures import macro_f1
from pay_ready.agent.periods import period_of, trend_of
from pay_ready.agent.sentences import sentences_of
from pay_ready.agent.sentiment import GroupingOptions, score_sentences, sentiment_by_period, turn_sentiment, worst_tenth
from pay_ready.agent.sentiment_model import FEATURES, VADER_ID, Scorer, SentimentModel, features_of, load_model, open_scorer
from pay_ready.agent.train_sentiment import LICENSED, Labelled, read_licensed, to_json, train
from pay_ready.errors import ConfigError, EmbeddingError, UsageError
from pay_ready.resources import resource_path
from tests.talk_support import BEGAN, groups, utterance

SHIPPED = resource_path("config", "sentiment", "minilm.json")


def test_the_shipped_model_is_used_for_its_embedder_alone() -> None:
    """With another embedder, or without vectors, VADER scores alone and the reason is said."""
    embedder_id = load_model(SHIPPED).embedder_id
    assert open_scorer(embedder_id).id == "minilm-vader-1"
    assert open_scorer("hash:1024") == Scorer(VADER_ID, f"the sentiment model holds for vectors of {embedder_id}, not of hash:1024")
    assert open_scorer(None).reason == "there are no vectors of these sentences"


def test_the_shipped_model_is_credited() -> None:
    """Whoever's sentences it was trained on is named with their licence."""
    assert json.loads(SHIPPED.read_text())["credits"] == sorted(set(LICENSED.values()))


def test_vader_alone_tells_our_complaints_as_far_as_it_can() -> None:
    """The floor: 0.7 macro-F1 on our own easy sentences."""
    figure = next(evaluate_text.sentiment_figures("own", evaluate_text.complaints(), None, Scorer(VADER_ID), 0.58))
    assert figure.value > 0.7


def test_a_probability_of_the_model_is_one() -> None:
    """Rows add up to 1; without weights all labels are as likely."""
    model = SentimentModel(id="m", embedder_id="e", weights=np.zeros((4 + len(FEATURES), 3)), intercepts=np.zeros(3))
    shares = model.probabilities(np.ones((2, 4), np.float32), features_of(["Great!", "not good"]))
    np.testing.assert_allclose(shares, 1 / 3)


def test_the_model_needs_a_vector_for_each_sentence() -> None:
    """Or it refuses to score."""
    with pytest.raises(EmbeddingError):
        open_scorer(load_model(SHIPPED).embedder_id).score(["a"], np.zeros((2, 384), np.float32))


@pytest.mark.parametrize("content", ["", "{}", '{"weights": 1}', "[]"])
def test_a_damaged_model_is_named(content: str, tmp_path: Path) -> None:
    """The error says which file, and the way out."""
    path = tmp_path / "minilm.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"minilm\.json"):
        load_model(path)


def test_training_repeats_and_reads_back(tmp_path: Path) -> None:
    """The same sentences give the same coefficients; what is written is what was trained, and tells them apart."""
    labels = ("negative", "neutral", "positive")
    sentences = [Labelled("uci_yelp", labels[number % 3], f"sentence {number}") for number in range(30)]
    vectors = groups([1, 1, 1])[[number % 3 for number in range(30)]]
    model, again = (train(sentences, vectors, "e") for _ in range(2))
    path = tmp_path / "model.json"
    path.write_text(to_json(model, ["somebody"]))
    read = load_model(path)
    np.testing.assert_array_equal(read.weights, again.weights)
    told = read.probabilities(vectors, features_of([each.text for each in sentences])).argmax(axis=1)
    assert [labels[place] for place in told] == [each.label for each in sentences]


def test_only_licensed_sentences_are_trained_on(tmp_path: Path) -> None:
    """A set that is not listed is left out and named."""
    import gzip

    path = tmp_path / "sentences.jsonl.gz"
    rows = [{"set": "uci_imdb", "label": "positive", "text": "fine"}, {"set": "airline", "label": "negative", "text": "late"}]
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    assert read_licensed(path) == ([Labelled("uci_imdb", "positive", "fine")], ["airline"])


def test_other_languages_are_skipped_with_a_reason() -> None:
    """They are counted, not scored as if they were English."""
    said = [utterance("This is great."), utterance("Das ist schrecklich. Sehr schlecht.", language="de")]
    reading = score_sentences(sentences_of(said), None, open_scorer(None))
    assert [each.label for each in reading.scored] == ["positive"]
    assert [(each.language, each.sentences, each.reason) for each in reading.skipped] == [("de", 2, "sentiment is read in en only")]


def test_a_turn_weighs_its_sentences_by_words() -> None:
    """A word of thanks does not undo a long complaint."""
    said = [utterance("Thanks! This was the most horrible delay that we have ever seen with any supplier at all.")]
    (turn,) = turn_sentiment(score_sentences(sentences_of(said), None, open_scorer(None)).scored)
    assert turn.sentences == 2
    assert turn.score < 0
    assert turn.label == "negative"


def test_periods_are_half_open_in_the_time_zone() -> None:
    """Half past eleven in the evening in New York is that day's there, and the next day's in UTC; midnight begins a day."""
    at = datetime(2026, 3, 2, 4, 30, tzinfo=UTC)
    assert period_of(at, "day", "America/New_York") == (date(2026, 3, 1), date(2026, 3, 2))
    assert period_of(at, "day") == (date(2026, 3, 2), date(2026, 3, 3))
    assert period_of(datetime(2026, 3, 3, tzinfo=UTC), "day") == (date(2026, 3, 3), date(2026, 3, 4))
    assert period_of(at, "week", week_start=6) == (date(2026, 3, 1), date(2026, 3, 8))
    assert period_of(datetime(2026, 12, 31, tzinfo=UTC), "month") == (date(2026, 12, 1), date(2027, 1, 1))
    with pytest.raises(ConfigError, match="unknown time zone"):
        period_of(at, "day", "Mars/Base")
    with pytest.raises(ConfigError, match="no such day"):
        period_of(at, "week", week_start=7)


def test_a_period_has_counts_worst_tenth_and_examples() -> None:
    """By side; the worst sentence first, and each example cites its interaction."""
    said = [
        utterance("Great work. I hate this horrible bug. That is bad.", 1),
        utterance("We are sorry.", 1, side="internal", speaker="Bob"),
        utterance("The rollout is wonderful.", 8),
    ]
    scored = score_sentences(sentences_of(said), None, open_scorer(None)).scored
    external, internal, later = sentiment_by_period(scored, GroupingOptions(period="week"))
    assert (external.start, external.end, external.side) == (date(2026, 3, 2), date(2026, 3, 9), "external")
    assert (external.interactions, external.sentences, dict(external.labels)) == (1, 3, {"negative": 2, "neutral": 0, "positive": 1})
    assert external.worst_tenth == min(each.score for each in scored)
    assert [line.text for line in external.worst] == ["Ann says: I hate this horrible bug.", "Ann says: That is bad."]
    assert external.worst[0].citations[0].interaction_id.int == 1
    assert internal.side == "internal"
    assert (later.start, later.best[0].text) == (date(2026, 3, 9), "Ann says: The rollout is wonderful.")
    assert [each.side for each in sentiment_by_period(scored, by_side=False)] == [None, None]


def test_the_worst_tenth() -> None:
    """Of 20 the two lowest, of one that one, of none no number."""
    assert worst_tenth([*range(20)]) == 0.5
    assert worst_tenth([0.3]) == 0.3
    assert math.isnan(worst_tenth([]))


@pytest.mark.parametrize(("slope", "direction"), [(0.1, "rising"), (-0.1, "falling"), (0.0, "steady")])
def test_a_trend_is_told_from_its_line(slope: float, direction: str) -> None:
    """Points on a line give its slope a week and its direction."""
    trend = trend_of([(BEGAN + timedelta(weeks=week), 0.2 + slope * week) for week in range(6)])
    assert trend.slope_per_week == pytest.approx(slope)
    assert trend.direction == direction


def test_too_few_points_have_no_direction() -> None:
    """Three points, one moment, or none: nothing is claimed."""
    assert trend_of([(BEGAN + timedelta(weeks=week), week) for week in range(3)]).direction is None
    assert trend_of([(BEGAN, value) for value in (0.1, 0.2, 0.9, -1)]).direction is None
    assert trend_of([]).points == 0


def test_a_sparkline_spans_the_scale() -> None:
    """The lowest block at -1, the highest at 1, a blank for nothing; beyond the scale its edge."""
    assert sparkline([-1, 0, 1, math.nan, -9, 9]) == "▁▅█ ▁█"


CHART = Chart(
    title="Acme <by> week & side",
    series=tuple(
        Series(name=name, points=tuple((date(2026, 3, 2 + 7 * n), n / 4 - 0.5) for n in range(4))) for name in ("external", "internal")
    ),
)


def test_an_svg_is_well_formed_and_holds_no_markup_of_its_texts(tmp_path: Path) -> None:
    """Titles are texts, whatever they contain; each point is a circle."""
    assert write_chart(CHART, tmp_path / "plot.SVG") == "svg"
    root = ET.fromstring((tmp_path / "plot.SVG").read_text(encoding="utf-8"))
    assert "Acme <by> week & side" in [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert len([*root.iter("{http://www.w3.org/2000/svg}circle")]) == 8


def _pixels(content: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Reads a PNG back; every chunk's checksum must hold."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, place = {}, 8
    while place < len(content):
        (size,) = struct.unpack(">I", content[place : place + 4])
        kind, data = content[place + 4 : place + 8], content[place + 8 : place + 8 + size]
        assert struct.unpack(">I", content[place + 8 + size : place + 12 + size])[0] == zlib.crc32(kind + data)
        chunks[kind], place = data, place + 12 + size
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + 3 * width)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 3)


def test_a_png_can_be_read_and_shows_both_lines(tmp_path: Path) -> None:
    """The header, the checksums and the colours of both series are there."""
    assert write_chart(CHART, tmp_path / "plot.png") == "png"
    pixels = _pixels((tmp_path / "plot.png").read_bytes())
    assert pixels.shape == (320, 720, 3)
    colours = {tuple(map(int, colour)) for colour in np.unique(pixels.reshape(-1, 3), axis=0)}
    assert {(255, 255, 255), (31, 95, 168), (194, 87, 26)} <= colours


def test_other_formats_are_refused(tmp_path: Path) -> None:
    """With the endings that there are."""
    with pytest.raises(UsageError, match=r"\.svg or \.png"):
        write_chart(CHART, tmp_path / "plot.pdf")
    with pytest.raises(UsageError, match="cannot be written"):
        write_chart(CHART, tmp_path / "nowhere" / "plot.svg")
    write_chart(Chart(title="nothing"), tmp_path / "empty.png")


def test_macro_f1_is_the_mean_over_labels() -> None:
    """By hand: F1 of a is 2/3, of b 1/2 x ... as counted."""
    truth: Sequence[str] = ["a", "a", "b", "b"]
    assert macro_f1(truth, ["a", "b", "b", "b"]) == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert macro_f1([], []) == 0.0
