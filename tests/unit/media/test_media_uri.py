from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acav_spark.errors import MediaError
from acav_spark.media import path_from_uri, uri_from_path


@given(st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name))
def test_any_file_name_survives_the_way_through_its_uri(name: bytes) -> None:
    path = Path(os.fsdecode(b"/videos/x" + name))

    uri = uri_from_path(path)

    assert uri.isascii()
    assert uri.isprintable()
    assert " " not in uri
    assert path_from_uri(uri) == path


def test_special_characters_are_percent_encoded() -> None:
    assert (
        uri_from_path("/a b/ü?#%\n'.mp4") == "file:///a%20b/%C3%BC%3F%23%25%0A%27.mp4"
    )


def test_a_relative_path_is_made_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert uri_from_path("etc/x") == "file:///etc/x"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/plain/path with spaces.mp4", "/plain/path with spaces.mp4"),
        ("/plain/100%25.mp4", "/plain/100%25.mp4"),
        ("file:///a/b.mp4", "/a/b.mp4"),
        ("file:/a/b.mp4", "/a/b.mp4"),
        ("FILE://localhost/a/b.mp4", "/a/b.mp4"),
        ("file:///a/what?#1.mp4", "/a/what?#1.mp4"),
        ("/dir/-leading:colon.mp4", "/dir/-leading:colon.mp4"),
    ],
)
def test_uris_and_absolute_paths_name_local_files(uri: str, path: str) -> None:
    assert path_from_uri(uri) == Path(path)


@pytest.mark.parametrize(
    "uri",
    [
        "http://example.org/a.mp4",
        "https:///a.mp4",
        "concat:/a.mp4|/b.mp4",
        "s3://bucket/a.mp4",
        "pipe:0",
        "data:video/mp4;base64,AAAA",
    ],
)
def test_other_schemes_are_refused(uri: str) -> None:
    with pytest.raises(MediaError, match="scheme_not_allowed") as caught:
        path_from_uri(uri)
    assert caught.value.is_permanent


def test_the_file_scheme_can_be_refused_too() -> None:
    for uri in ("file:///a.mp4", "/a.mp4"):
        with pytest.raises(MediaError, match="scheme_not_allowed"):
            path_from_uri(uri, allowed_schemes=())


def test_an_allowed_scheme_without_a_reader_is_refused() -> None:
    with pytest.raises(MediaError, match="cannot be read as a local file"):
        path_from_uri("s3://bucket/a.mp4", allowed_schemes=("file", "s3"))


@pytest.mark.parametrize(
    "uri", ["", "relative.mp4", "file://host/a.mp4", "file:a.mp4", "file:///a%00.mp4"]
)
def test_what_names_no_absolute_path_is_refused(uri: str) -> None:
    with pytest.raises(MediaError, match="invalid_uri"):
        path_from_uri(uri)
