"""Text that cannot harm a terminal, whatever a file may be called."""


def plain(text: str) -> str:
    r"""The text in one line, with what cannot be printed spelled out.

    >>> plain("a\nb")
    'a\\nb'
    """
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
