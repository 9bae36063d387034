"""Texts, and the ends of their sentences and paragraphs, for tests of the server's and the page's rules."""

from __future__ import annotations

#: A text, and whether it ends at the end of a sentence.
ENDINGS = [
    (" It rains.", True),
    (" Does it?", True),
    (' He said, "It rains."', True),
    (" 雨が降る。", True),
    (" Wait…", True),
    (" It rains", False),
    (" It rains,", False),
    ("", False),
    (" Margaret said Mr.", False),
    (" the house of Mrs.", False),
    (" Mr.", False),
    (" by J.", False),
    (" by J.R.R.", False),
    (" apples, pears, e.g.", False),
    (" Äpfel, z.B.", False),
    (" said Mr. Hale.", True),
    (" He said no.", True),
    (" at the helm.", True),
]
#: A text, the pause after it in seconds, and whether a new paragraph begins after it.
PARAGRAPHS = [
    (" It rains.", 1.9, False),
    (" It rains.", 2.1, True),
    (" It rains", 2.1, True),
    (" Margaret said Mr.", 2.1, False),
    (" word" * 100, 0.1, False),
    (" word" * 130, 0.1, False),
    (" word" * 130 + ".", 0.1, True),
    (" word" * 130 + " Mr.", 0.1, False),
    (" word" * 310, 0.1, True),
]
#: The beginning of a final, and the punctuation in it that belongs to the word before.
LEADING_MARKS = [
    (", as he", ","),
    ('." Then', '."'),
    (".", "."),
    ('" he said', '"'),
    ("。そして", "。"),
    (" as he", ""),
    (' "It rains', ""),
    ("'s house", ""),
    (".5 percent", ""),
    ("", ""),
]
