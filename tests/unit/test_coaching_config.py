"""What is wrong in `config/coaching` is said with file, key and choices."""

import shutil
from pathlib import Path

import pytest

from pay_ready.errors import ConfigError
from pay_ready.pipeline.coaching_config import load_coaching_rules
from pay_ready.resources import resource_path

TRACKER = '[[tracker]]\nid = "t"\nlabel = "T"\ngroup = "topic"\n'
QUESTION = 'id = "c"\ntitle = "C"\n[[question]]\nid = "q"\ntext = "Q?"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped configuration."""
    return Path(shutil.copytree(resource_path("config", "coaching"), tmp_path / "coaching"))


@pytest.mark.parametrize(
    ("file", "content", "key", "told"),
    [
        ("trackers/new.toml", f'{TRACKER}keywords = ["a"]\nwords = 1', "tracker[0].words", 'did you mean "keywords"'),
        ("trackers/new.toml", TRACKER, "tracker[0]", "listens for nothing"),
        ("trackers/new.toml", f'{TRACKER}examples = ["So it is."]', "tracker[0].least_similarity", "the key is missing"),
        ("trackers/new.toml", f'{TRACKER}keywords = ["a"]\nside = "customer"', "tracker[0].side", "choices: any, external, internal"),
        ("trackers/new.toml", f'{TRACKER}keywords = ["... a"]', "tracker[0].keywords[0]", "no keyword"),
        ("trackers/new.toml", f'{TRACKER}keywords = ["a*b"]', "tracker[0].keywords[0]", "no keyword"),
        ("trackers/new.toml", TRACKER.replace('"t"', '"agenda"') + 'keywords = ["a"]', "tracker[0].id", 'the id "agenda" is taken'),
        ("trackers/new.toml", TRACKER.replace('"t"', '"T 1"') + 'keywords = ["a"]', "tracker[0].id", "no id"),
        ("trackers/new.toml", TRACKER.replace("topic", "topics") + 'keywords = ["a"]', "tracker[0].group", 'did you mean "topic"'),
        ("scorecards/new.toml", 'id = "c"\ntitle = "C"', "question", "asks nothing"),
        ("scorecards/new.toml", f'interaction_types = ["calls"]\n{QUESTION}', "interaction_types[0]", 'did you mean "call"'),
        ("scorecards/new.toml", f'{QUESTION}answered_by = "guess"', "question[0].answered_by", "choices: keyword, measure, tracker"),
        (
            "scorecards/new.toml",
            f'{QUESTION}answered_by = "measure"\nmeasure = "talkratio"\nat_most = 1',
            "question[0].measure",
            "did you mean",
        ),
        ("scorecards/new.toml", f'{QUESTION}answered_by = "measure"\nmeasure = "patience"', "question[0].at_least", "a bound is missing"),
        ("scorecards/new.toml", f'{QUESTION}answered_by = "tracker"\ntracker = "prices"', "question[0].tracker", 'did you mean "price"'),
        ("scorecards/new.toml", f'{QUESTION}answered_by = "keyword"', "question[0].keywords", "the list is missing"),
        ("scorecards/new.toml", f'{QUESTION}answered_by = "keyword"\nkeywords = ["a"]\nweight = 0', "question[0].weight", "above 0 to 100"),
        ("report.toml", '[[focus]]\nid = "f"\ntitle = "F"\nmeasure = "patience"', "focus[0].above", "a bound is missing"),
        ("report.toml", '[[focus]]\nid = "f"\ntitle = "F"\nmeasure = "patience"\nabove = 1', "focus[0].reference", "the key is missing"),
        ("report.toml", '[[win]]\nid = "f"\ntitle = "F"\nmeasure = "patience"\nabove = 2\nbelow = 1', "win[0].above", "no value lies"),
        ("report.toml", "[[lose]]", "lose", "choices: focus, schema_version, win"),
    ],
)
def test_mistakes(folder: Path, file: str, content: str, key: str, told: str) -> None:
    """Each mistake names its file, key and way out."""
    (folder / file).write_text(f"schema_version = 1\n{content}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_coaching_rules(folder)
    assert raised.value.where == {"file": str(folder / file), "key": key}
    assert told in str(raised.value)


def test_another_version_is_refused(folder: Path) -> None:
    """A file of a form that is not known yet is not read by halves."""
    (folder / "report.toml").write_text("schema_version = 2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="schema_version"):
        load_coaching_rules(folder)


def test_a_count_of_one_is_enough(folder: Path) -> None:
    """A tracker question without bounds asks whether it was heard at all."""
    card = f'schema_version = 1\n{QUESTION}answered_by = "tracker"\ntracker = "price"\n'
    (folder / "scorecards" / "new.toml").write_text(card, encoding="utf-8")
    question = load_coaching_rules(folder).scorecards[-1].questions[0]
    assert (question.at_least, question.at_most, question.weight) == (1, None, 1)


def test_a_tenants_competitors_are_heard(folder: Path) -> None:
    """Their names are further keywords of that tracker, and of no other."""
    plain, named = (load_coaching_rules(folder, names).trackers for names in ((), ("Globex", " ")))
    (changed,) = [(new.tracker_id, new.keywords[len(old.keywords) :]) for old, new in zip(plain, named, strict=True) if old != new]
    assert changed == ("competitor", ("Globex",))
