"""The names and numbers of KMIP, against those of PyKMIP."""

import enum
from pathlib import Path

from kmip.core import enums

NAMES = Path(__file__).parents[2] / "crates/kms/src/ttlv/names.txt"

# PyKMIP's own spelling of two values.
SPELT = {"TRIPLE_DES": "DES3", "OPAQUE_DATA": "OpaqueObject"}


def plain(name):
    return "".join(filter(str.isalnum, SPELT.get(name, name))).lower()


def ours():
    """Tags by their numbers, and by each tag's name the values of its enumeration."""
    tags, values = {}, {}
    for line in NAMES.read_text().splitlines():
        if line.startswith("#"):
            continue
        number, name = line.split()
        if line.startswith(" "):
            below[int(number, 16)] = plain(name)
        else:
            tags[int(number, 16)] = plain(name)
            below = values[plain(name)] = {}
    return tags, values


def test_tags_are_those_of_pykmip():
    tags, _ = ours()
    theirs = {tag.value: plain(tag.name) for tag in enums.Tags if tag.name != "DEFAULT"}
    assert len(theirs) > 350
    assert tags == theirs


def test_values_are_those_of_pykmip():
    _, values = ours()
    compared = 0
    for name, theirs in vars(enums).items():
        # Beside enumerations there are masks, which have no names on the wire.
        if isinstance(theirs, type) and issubclass(theirs, enum.Enum) and values.get(plain(name)):
            found = {value.value: plain(value.name) for value in theirs}
            assert found.items() <= values[plain(name)].items(), name
            compared += len(found)
    assert compared > 750
