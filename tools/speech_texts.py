"""Texts without meaning in many languages: what synthetic speech says, so that every sound of a language occurs.

English words come from the lexicon of hibari-tts; Mandarin syllables are pinyin, Japanese ones kana, Korean ones
hangul; in all other languages syllables of the language's own spelling are joined to words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import numpy as np

from audio2face.synthesis.speakers import english_words

ENGLISH = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-029")
"""Accents of English, as eSpeak NG calls them."""
_PAUSE_SHARE = 0.12  # of words before a comma

# Onsets, nuclei and codas of syllables, by eSpeak NG's name of the language.
_SPELLINGS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "de": (
            "b d f g h j k l m n p r s t v w z sch st pf br tr fl kl sp",
            "a e i o u ä ö ü ei au eu ie a e i",
            "n r t l m ch s ck ng p f",
        ),
        "fr": (
            "b d f g j l m n p r s t v ch br tr pl cl gn qu",
            "a e é è i o u ou eu on an in oi ai eau a i",
            "r l s t che ve me ne pe be",
        ),
        "es": (
            "b d f g j l m n p r s t v ch ll ñ rr br tr pl",
            "a e i o u a e o ie ue",
            "n s r l d",
        ),
        "it": (
            "b d f g l m n p r s t v c z gn ch sc pr tr",
            "a e i o u a e o ia uo",
            "n r l s",
        ),
        "pt-br": (
            "b d f g j l m n p r s t v ch lh nh br",
            "a e i o u ã õe ão é ô",
            "m r s l",
        ),
        "nl": (
            "b d g h j k l m n p r s t v w z sch",
            "a e i o u aa ee oo uu ui ij eu oe ie",
            "n r t l m k p s",
        ),
        "sv": (
            "b d f g h j k l m n p r s t v sj tj",
            "a e i o u å ä ö y",
            "n r t l m k g",
        ),
        "nb": (
            "b d f g h j k l m n p r s t v kj sk",
            "a e i o u å æ ø y ei",
            "n r t l m",
        ),
        "pl": (
            "b c d f g h j k l ł m n p r s t w z cz sz ż dz ś ć ź",
            "a e i o u y ą ę ó",
            "n m k t sz ć j",
        ),
        "cs": (
            "b c d f h j k l m n p r s t v z č š ž ř ť",
            "a e i o u á é í ou y",
            "n l t k m",
        ),
        "hu": (
            "b c d f g h j k l m n p r s t v z cs sz gy ny zs",
            "a e i o u á é ó ö ő ü ű í",
            "n k t l r m",
        ),
        "fi": (
            "h j k l m n p r s t v",
            "a e i o u ä ö y aa ee uu yy ää öy uo",
            "n s l t",
        ),
        "tr": (
            "b c ç d f g h j k l m n p r s ş t v y z",
            "a e ı i o ö u ü",
            "k l n r m z p",
        ),
        "id": (
            "b c d g h j k l m n p r s t w y ny ng",
            "a e i o u ai au",
            "n ng k t p m s r",
        ),
        "sw": (
            "b ch d f g h j k l m n p r s t v w y z mb nd ng",
            "a e i o u",
            "",
        ),
        "ro": (
            "b c d f g j l m n p r s t v ș ț z",
            "a e i o u ă â ea oa",
            "n r l t m",
        ),
        "hr": (
            "b c č ć d f g h j k l lj m n nj p r s š t v z ž",
            "a e i o u",
            "n r k t m",
        ),
        "ru": (
            "б в г д ж з к л м н п р с т ф х ц ч ш щ",
            "а е и о у ы э ю я ё",
            "н т к л р м ль",
        ),
        "el": (
            "β γ δ ζ θ κ λ μ ν ξ π ρ σ τ φ χ ψ μπ ντ",
            "α ε ι ο ου η ω αι",
            "ν ς",
        ),
        "hi": (
            "क ख ग घ च छ ज ट ड त थ द ध न प फ ब भ म य र ल व श स ह",
            " ा ि ी ु ू े ै ो ौ",
            "न म र क त ल",
        ),
        "vi": (
            "b c ch d đ g h kh l m n ng nh ph qu r s t th tr v x",
            "a ă â e ê i o ô ơ u ư à á ả ạ ié",
            "n m ng t p c nh",
        ),
        "ca": (
            "b d f g j l m n p r s t v x ll ny",
            "a e i o u é ò à",
            "n r s l t",
        ),
        "et": (
            "h j k l m n p r s t v",
            "a e i o u õ ä ö ü aa öö",
            "n s l t k",
        ),
        "cy": (
            "b c d dd f ff g l ll m n p r s t th w",
            "a e i o u w y ae",
            "n r l dd th",
        ),
    }
)
_PINYIN = (  # initials, and the finals behind each of them
    ("j q x", "i ia ian iang iao ie in ing iong iu u uan ue un"),
    ("y", "a an ang ao e i in ing ong ou u uan ue un"),
    ("w", "a ai an ang ei en o u"),
    ("b p m", "a ai an ang ao ei en eng i ian iao ie in ing o u"),
    ("f", "a an ang ei en eng ou u o"),
    ("zh ch sh r z c s", "a ai an ang ao e en eng i ong ou u uan ui un uo"),
    ("d t n l g k h", "a ai an ang ao ei eng ou u uan un uo ong"),
)
_KANA = (
    "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわ"
    "ばびぶべぼぱぴぷぺぽがぎぐげごだでどざじずぜぞ"
)
_HANGUL, _HANGUL_VOWELS, _HANGUL_FINALS = 0xAC00, 21, 28
_KOREAN_FINALS = (0, 0, 1, 4, 8, 16, 17, 21)

Word = Callable[[np.random.Generator], str]


def languages() -> tuple[str, ...]:
    """All languages; those that occur several times are spoken more often. 28 % are English."""
    english = ENGLISH[:1] * 5 + ENGLISH[1:2] * 4 + ENGLISH[2:]
    return (*english, *("cmn-latn-pinyin",) * 4, *("ko", "ja") * 2, *_SPELLINGS)


def text_in(language: str, rng: np.random.Generator) -> str:
    """Returns 5 to 11 words, some with a pause behind them.

    Args:
        language: one of `languages()`.
        rng: source of the words.
    """
    word = _word_of(language)
    words = [word(rng) + ("," if rng.random() < _PAUSE_SHARE else "") for _ in range(int(rng.integers(5, 12)))]
    return " ".join(words)


def _word_of(language: str) -> Word:
    if language in ENGLISH:
        return partial(_choice, tuple(english_words()))
    special: Mapping[str, Word] = {"cmn-latn-pinyin": _mandarin_word, "ko": _korean_word, "ja": _japanese_word}
    return special.get(language) or partial(_spelled_word, _SPELLINGS[language])


def _choice(items: Sequence[str], rng: np.random.Generator) -> str:
    return items[int(rng.integers(len(items)))]


def _spelled_word(spelling: tuple[str, str, str], rng: np.random.Generator) -> str:
    onsets, nuclei, codas = (part.split(" ") for part in spelling)
    syllables = [
        (_choice(onsets, rng) if rng.random() < 0.9 else "")
        + _choice(nuclei, rng)
        + (_choice(codas, rng) if rng.random() < 0.35 else "")
        for _ in range(int(rng.integers(1, 4)))
    ]
    return "".join(syllables)


def _mandarin_word(rng: np.random.Generator) -> str:
    pairs = [(initial, finals) for initials, finals in _PINYIN for initial in initials.split()]
    syllables = []
    for _ in range(int(rng.integers(1, 4))):
        initial, finals = pairs[int(rng.integers(len(pairs)))]
        syllables.append(f"{initial}{_choice(finals.split(), rng)}{int(rng.integers(1, 5))}")
    return " ".join(syllables)


def _korean_word(rng: np.random.Generator) -> str:
    syllables = []
    for _ in range(int(rng.integers(1, 4))):
        pair = int(rng.integers(19)) * _HANGUL_VOWELS + int(rng.integers(_HANGUL_VOWELS))
        syllables.append(chr(_HANGUL + pair * _HANGUL_FINALS + int(rng.choice(_KOREAN_FINALS))))
    return "".join(syllables)


def _japanese_word(rng: np.random.Generator) -> str:
    return "".join(rng.choice(list(_KANA), int(rng.integers(2, 6)))) + _choice(("", "", "ん", "ー"), rng)
