"""The language of a text: named when it is clear, not guessed when it is not."""

import threading

import pytest

from pay_ready.errors import ConfigError
from pay_ready.memory.language import LANGUAGES, language_of

CLEAR = {
    "en": "Please send us the new offer before the end of May.", "de": "Bitte schicken Sie uns das neue Angebot vor Ende Mai.",
    "fr": "Merci de nous envoyer la nouvelle offre avant la fin du mois.", "es": "Envíenos la nueva oferta antes de finales de mayo.",
    "it": "Vi preghiamo di inviarci la nuova offerta entro la fine di maggio.", "nl": "Stuur ons de nieuwe offerte voor het einde van mei.",
    "pl": "Prosimy o przesłanie nowej oferty przed końcem maja.", "pt": "Por favor, envie-nos a nova proposta até o final de maio.",
    "ru": "Пришлите нам новое предложение до конца мая.", "sv": "Skicka oss det nya erbjudandet före slutet av maj.",
    "tr": "Lütfen yeni teklifi mayıs sonundan önce bize gönderin.", "ar": "يرجى إرسال العرض الجديد إلينا قبل نهاية شهر مايو.",
    "ja": "五月末までに新しい見積もりをお送りください。", "zh": "请在五月底之前把新的报价发给我们。",
}  # fmt: skip


def test_a_sentence_in_each_language() -> None:
    """Each configured language is told."""
    assert {language: language_of(text) for language, text in CLEAR.items()} == {language: language for language in LANGUAGES}


@pytest.mark.parametrize("text", ["", "  \n", "ok", "12345 67", "+49 30 1234", "👍👍", "...", "lgtm", "x", "\ud800"])
def test_too_little_is_no_language(text: str) -> None:
    """Nothing is said rather than something wrong."""
    assert language_of(text) is None


def test_only_configured_languages_are_named() -> None:
    """Swedish, where only English and German are configured, is neither - or one of them, and never Swedish."""
    assert language_of(CLEAR["de"], ("en", "de")) == "de"
    assert language_of(CLEAR["sv"], ("en", "de")) in {None, "en", "de"}
    assert language_of(CLEAR["sv"]) == "sv"


@pytest.mark.parametrize("languages", [("en", "klingon"), ()])
def test_an_unknown_language_is_a_setting_that_is_off(languages: tuple[str, ...]) -> None:
    """It names the language and those that there are."""
    with pytest.raises(ConfigError, match=r"choose of: .*\bde\b.*en"):
        language_of("Guten Tag", languages)


def test_threads_with_different_languages() -> None:
    """Restrictions of one thread do not reach another: the model is shared, its restrictions are not."""
    found: dict[int, set[str | None]] = {}

    def work(number: int) -> None:
        languages = ("en", "de") if number % 2 else ("sv", "tr")
        found[number] = {language_of(text, languages) for _ in range(20) for text in CLEAR.values()}

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, languages in found.items():
        assert languages <= ({"en", "de", None} if number % 2 else {"sv", "tr", None})
    assert len(found) == 6
