from __future__ import annotations

import re

from acav_spark.media import codes


def test_every_code_is_a_name_with_a_meaning() -> None:
    constants = {name: value for name, value in vars(codes).items() if name.isupper()}
    meanings = constants.pop("CODES")
    assert set(constants.values()) == set(meanings)
    for name, value in constants.items():
        assert value == name.lower()
        assert re.fullmatch(r"[A-Z].+\.", meanings[value])
