"""What a local session is set to, without starting one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from acav_spark import java, session, worker_daemon
from acav_spark.errors import DependencyError

if TYPE_CHECKING:
    from pathlib import Path


def _fake_java(folder: Path, version: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    java = folder / "bin" / "java"
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("version", "major"), [("17.0.15", 17), ("21", 21), ("1.8.0_400", 1), ("22-ea", 22)]
)
def test_the_version_of_java_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, major: int
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(_fake_java(tmp_path, version)))
    assert java.java_version() == major


def test_a_missing_or_old_java_is_refused_with_how_to_install_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(_fake_java(tmp_path, "11.0.2")))
    with pytest.raises(DependencyError, match=r"found Java 11.*openjdk-17"):
        java.require_java()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(DependencyError, match="found none"):
        java.require_java()


def test_given_java_options_are_added_to_the_quiet_ones() -> None:
    name = "spark.driver.extraJavaOptions"
    settings = session._local_settings({name: "-Xss4m", "spark.master": "local[3]"})
    assert settings["spark.master"] == "local[3]"
    assert settings[name].startswith("-Dlog4j2.configurationFile=file:")
    assert settings[name].endswith(" -Xss4m")


def test_delta_comes_from_the_jars_beside_python_where_they_are() -> None:
    settings = session._local_settings({})
    if session.local_jars():
        assert "delta-spark" in settings["spark.jars"]
        assert "spark.jars.packages" not in settings
    else:
        assert settings["spark.jars.packages"] == session.DELTA_PACKAGE


def test_the_path_of_workers_loses_sparks_archives_alone() -> None:
    spark = "/opt/spark"
    given = [
        "",
        f"{spark}/python/lib/pyspark.zip",
        f"{spark}/python/lib/py4j-0.10.9.9-src.zip",
        f"{spark}/jars/spark-core_2.13-4.1.4.jar",
        "/shipped/acav_spark.zip",
        "/usr/lib/python311.zip",
        "/usr/lib/python3.11/site-packages",
    ]
    kept = [given[0], *given[4:]]
    assert worker_daemon.without_archives(given) == kept


def test_a_platforms_session_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYSPARK_GATEWAY_PORT", "DATABRICKS_RUNTIME_VERSION"):
        monkeypatch.delenv(name, raising=False)
    assert not session.is_launched_by_platform()
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "18.0")
    assert session.is_launched_by_platform()
    assert os.environ["DATABRICKS_RUNTIME_VERSION"] == "18.0"
