"""The letters of the two legacy Vietnamese encodings, as data.

TCVN3 (ABC): one byte a lower-case letter; after TCVN 5712:1993 (VN3) and compared with GNU libiconv's ``TCVN`` in a
test.  Capitals with a tone do not exist: fonts named .VnTimeH show small letters as capitals, and the bytes do not
say which font was meant, so such text comes out in small letters.  VNI for Windows: a letter and a mark after it, or
one letter; after the VNI character table of the VNI Software Company, as unikey and vietunicode print it.
"""

TCVN3_FIRST = 0xA1
TCVN3 = (
    "ĂÂÊÔƠƯĐăâêôơưđ\0"  # A1…AF
    "\0\0\0\0\0àảãáạ\0ằẳẵắ\0"  # B0…BF
    "\0\0\0\0\0\0ặầẩẫấậè\0ẻẽ"  # C0…CF
    "éẹềểễếệìỉ\0\0\0ĩíịò"  # D0…DF
    "\0ỏõóọồổỗốộờởỡớợù"  # E0…EF
    "\0ủũúụừửữứựỳỷỹýỵ\0"  # F0…FF
)
"""The letters of bytes A1…FF; NUL where none is."""

_TONES = {"ù": "\u0301", "ø": "\u0300", "û": "\u0309", "õ": "\u0303", "ï": "\u0323"}
_BREVE = {"ê": "", "é": "\u0301", "è": "\u0300", "ú": "\u0309", "ü": "\u0303", "ë": "\u0323"}
_CIRCUMFLEX = {"â": "", "á": "\u0301", "à": "\u0300", "å": "\u0309", "ã": "\u0303", "ä": "\u0323"}

VNI_MARKS: dict[str, str] = (
    {letter + mark: letter + tone for letter in "aeouyôö" for mark, tone in _TONES.items()}
    | {"a" + mark: "ă" + tone for mark, tone in _BREVE.items()}
    | {letter + mark: letter + "\u0302" + tone for letter in "aeo" for mark, tone in _CIRCUMFLEX.items()}
)
"""A letter with the mark after it → the letter and its marks; ``ô`` and ``ö`` stand for ơ and ư."""
VNI_LETTERS = {"ô": "ơ", "ö": "ư", "ñ": "đ", "æ": "ỉ", "ó": "ĩ", "ò": "ị", "î": "ỵ", "í": "í", "ì": "ì"}
"""Letters that stand alone."""
