from __future__ import annotations

import os
from pathlib import Path

import pytest

from acav_spark.config import Config, load_config
from acav_spark.errors import ConfigError


@pytest.fixture
def problems_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProblemsOf:
    monkeypatch.chdir(tmp_path)
    return ProblemsOf()


class ProblemsOf:
    """Loads text as ``small.yaml`` and returns the lines of the error."""

    def __call__(self, text: str | bytes, *overrides: str) -> list[str]:
        path = Path("small.yaml")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ConfigError) as caught:
            load_config(path, overrides)
        return str(caught.value).split("\n")


def loaded(tmp_path: Path, text: str, *overrides: str) -> Config:
    path = tmp_path / "small.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, overrides).config


def test_all_problems_are_reported_at_once_with_line_rule_value_and_remedy(
    problems_of: ProblemsOf,
) -> None:
    assert problems_of("clustering:\n  n_cluster: 5\n  learning_rate: 1e-2\n") == [
        "small.yaml has 2 problems.",
        "  line 2: clustering.n_cluster: unknown key; did you mean 'n_clusters'? Known "
        "keys: learning_rate, max_rows, minibatch_size, n_clusters, n_epochs, "
        "n_shards, name, preprocess, reinit, seed, tolerance, update.",
        "  line 3: clustering.learning_rate: expected a number in (0, 1], got text "
        "'1e-2'. Write 1.0e-2: YAML 1.1 reads 1e-2 as text.",
    ]


def test_a_misspelt_required_key_is_one_problem(problems_of: ProblemsOf) -> None:
    lines = problems_of("features:\n  extractors:\n    - nmae: vggish\n")
    assert lines[0] == "small.yaml has 1 problem."
    assert "features.extractors.0.nmae: unknown key; did you mean 'name'?" in lines[1]


def test_a_missing_required_key_says_what_to_give(problems_of: ProblemsOf) -> None:
    lines = problems_of("features:\n  extractors:\n    - options: {}\n")
    assert lines[1:] == [
        "  line 3: features.extractors.0.name: this key is required. Give text that is "
        "not empty."
    ]


def test_a_key_of_another_section_is_pointed_to(problems_of: ProblemsOf) -> None:
    lines = problems_of("n_clusters: 3\n")
    assert "did you mean 'clustering.n_clusters'?" in lines[1]


def test_a_key_given_twice_is_refused_with_both_lines(problems_of: ProblemsOf) -> None:
    text = "clustering:\n  seed: 1\n  seed: 2\nclustering:\n  n_epochs: 3\n"
    assert problems_of(text) == [
        "small.yaml has 2 problems.",
        "  line 3: clustering.seed: given twice, first on line 2. Keep one.",
        "  line 4: clustering: given twice, first on line 1. Keep one.",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "clustering: {n_epochs: 1.5}",
            "expected a whole number of at least 1, got 1.5.",
        ),
        ("clustering: {n_epochs: 0}", "expected a whole number of at least 1, got 0."),
        ("clustering: {n_epochs: '5'}", "got text '5'. Write 5 without quotes."),
        ("clustering: {n_epochs: 1e2}", "got text '1e2'. Write 100: YAML 1.1 reads"),
        (
            "clustering: {n_epochs: true}",
            "expected a whole number of at least 1, got true",
        ),
        ("clustering: {n_epochs: }", "got nothing. Remove the key to use its default."),
        (
            "clustering: {n_clusters: aut}",
            "or 'auto' or a list of at least 1 item",
        ),
        ("clustering: {learning_rate: 0}", "expected a number in (0, 1], got 0."),
        ("clustering: {learning_rate: 5.E3}", "Write 5.0e+3: YAML 1.1 reads 5.E3"),
        (
            "clustering: {name: A b}",
            "expected a name of at most 63 characters from a-z",
        ),
        ("ingest: {max_duration_s: 0}", "expected a number above 0, got 0."),
        ("ingest: {max_duration_s: .inf}", "got .inf. Write a finite number."),
        ("ingest: {excluded_keywords: music}", "got text 'music'. Write [music]."),
        ("ingest: {excluded_keywords: ['!!']}", "expected a letter or digit in each"),
        ("ingest: {excluded_categories: [20]}", "got 20. Write '20', in quotes."),
        ("input: {uri: no}", "Write 'no', in quotes: YAML 1.1 reads no as false."),
        ("storage: {root: [a]}", "expected text that is not empty, got a list of 1."),
        ("input: {columns: {link: a}}", "expected keys from video_id, uri, title"),
        ("input: {allowed_schemes: ['a b']}", "expected a URI scheme such as file"),
        ("input: 5", "expected a mapping with keys from: uri, format"),
        ("execution: {on_change: off}", "YAML 1.1 reads off as false."),
        ("selection: {size: 101%}", "or a share in (0%, 100%] such as 50%, got text"),
        ("selection: {size: 0}", "expected a count of at least 1, or a share"),
        (
            "selection: {method: best}",
            "'ranking_l2', 'similarity', got text 'best'",
        ),
        ("selection: {pairing: [[0, 0]]}", "two different view positions from 0, got"),
        ("selection: {pairing: all}", "or a list of pairs of view positions"),
        ("selection: {weights: linear}", "expected uniform, linear(K) or exp(K)"),
        ("selection: {weights: [1.0, 0.0]}", "one number above 0 for each layer"),
        ("selection: {prior: -1}", "a number of at least 0 or 'recommended'"),
        ("selection: {max_per_group: {video_id: 0}}", "a whole number of at least 1"),
        (
            "selection: {quotas: {category: {Music: 120%}}}",
            "a share in (0%, 100%] such as 20%, got text '120%' for category 'Music'",
        ),
        (
            "selection: {engine: broadcast, method: random}",
            "expected method batch_greedy with engine broadcast",
        ),
        (
            "selection: {method: ranking_cos, weights: exp(1)}",
            "expected weights uniform with method ranking_cos",
        ),
        (
            "selection: {similarity: {pairs: [[a, a]]}}",
            "expected two different names in each pair, got [['a', 'a']]",
        ),
        ("selection: {ranking: {n_components: 0}}", "a whole number of at least 1"),
        ("selection: {allow_fewer: 1}", "expected true or false, got 1."),
        ("features: {extractors: []}", "expected a list of at least 1 item"),
        ("features: {extractors: [vggish]}", "Write {name: vggish}."),
        (
            "features: {extractors: [{name: a}, {name: a}]}",
            "expected each extractor once",
        ),
        ("spark: {spark.master: [a]}", "spark.spark.master: expected text, got a list"),
        (
            "spark: {on: a}",
            "expected text as key, got on, which YAML 1.1 reads as bool",
        ),
        ("ingest: {<<: {a: 1}}", "merging by << is not supported"),
        ("ingest: {min_duration_s: !!int x}", "'x' cannot be read as int."),
        ("ingest: {min_duration_s: !!int }", "'' cannot be read as int."),
        (
            "input: {uri: !!python/name:os.system }",
            "python/name:os.system is not allowed",
        ),
    ],
)
def test_a_wrong_value_is_one_problem_that_says_what_to_write(
    problems_of: ProblemsOf, text: str, words: str
) -> None:
    lines = problems_of(text)
    assert lines[0] == "small.yaml has 1 problem."
    assert lines[1].startswith("  line 1: ")
    assert words in lines[1]
    assert "pydantic" not in lines[1]
    assert "http" not in lines[1].replace("https or s3", "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "- a\n",
            "line 1: expected sections such as 'ingest:' with keys below them, got",
        ),
        ("hello\n", "line 1: expected sections such as 'ingest:'"),
        ("ingest:\n\tmin_duration_s: 1\n", "line 2: a tab where YAML wants spaces."),
        ("input:\n  uri: a: b\n", "line 2: not valid YAML: mapping values are not"),
        ("input: {uri: *.mp4}\n", "Put text that begins with * in quotes."),
        ("input: {uri: @x}\n", "Put text that begins with this character in quotes."),
        ('input:\n  uri: "C:\\data"\n', "line 2: not valid YAML: found unknown escape"),
        ("  input: {}\n ingest: {}\n", "Indent keys of one level by the same number"),
        ("ingest: {}\n---\ninput: {}\n", "line 2: expected one YAML document, got a"),
        ("ingest: {}\n# \x07\n", "line 2: the character U+0007 is not allowed"),
        ("a: &x [*x]\n", "nested more than 32 deep"),
        ("[" * 5000, "nested more than 32 deep"),
        (
            "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
            + "".join(
                f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n"
                for old, new in zip("abcd", "bcde", strict=True)
            ),
            "more than 20000 values, counting repeated aliases.",
        ),
        (
            b"input: {uri: caf\xe9}\n",
            "expected UTF-8 text, got the byte 0xe9 on line 1",
        ),
        (b"# " + b"x" * 300_000, "expected at most 256 KiB of configuration, got more"),
    ],
)
def test_text_that_is_no_configuration_is_refused_with_the_reason(
    problems_of: ProblemsOf, text: str | bytes, words: str
) -> None:
    message = "\n".join(problems_of(text))
    assert message.startswith("small.yaml")
    assert words in message


def test_rules_between_keys_blame_the_line_of_the_key(problems_of: ProblemsOf) -> None:
    text = "ingest:\n  max_duration_s: 20\n  min_duration_s: 50\n"
    assert problems_of(text)[1:] == [
        "  line 3: ingest.min_duration_s: expected min_duration_s of at most "
        "max_duration_s (20), got 50."
    ]
    assert (
        "per_batch of at most batch_size (10)"
        in problems_of("selection: {batch_size: 10}")[1]
    )


def test_very_many_problems_are_counted_and_cut(problems_of: ProblemsOf) -> None:
    lines = problems_of("".join(f"key_{i}: 1\n" for i in range(70)))
    assert lines[0] == "small.yaml has 70 problems."
    assert len(lines) == 52
    assert lines[-1] == "  ... and 20 more."


def test_long_values_are_cut(problems_of: ProblemsOf) -> None:
    line = problems_of(f"clustering: {{n_epochs: {'x' * 1000}}}")[1]
    assert len(line) < 200


def test_a_missing_file_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "local.yaml").write_text("{}")
    with pytest.raises(ConfigError, match=r"locl.yaml: expected an existing YAML file"):
        load_config(tmp_path / "locl.yaml")
    with pytest.raises(ConfigError, match=r"Did you mean .*local.yaml\?"):
        load_config(tmp_path / "locl.yaml")
    with pytest.raises(ConfigError, match="expected an existing YAML file, got none"):
        load_config(tmp_path / "no folder" / "x.yaml")


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a YAML file, got a folder"):
        load_config(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file_says_why(tmp_path: Path) -> None:
    path = tmp_path / "secret.yaml"
    path.write_text("{}")
    path.chmod(0)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        load_config(path)


def test_a_name_that_no_file_can_have_says_why() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(Path("a\0b.yaml"))


def test_defaults_stand_in_for_no_file_an_empty_file_and_empty_sections(
    tmp_path: Path,
) -> None:
    assert load_config(None).config == Config()
    assert loaded(tmp_path, "") == Config()
    assert loaded(tmp_path, "# nothing\n") == Config()
    assert loaded(tmp_path, "ingest:\n  # all commented out\nspark:\n") == Config()


def test_the_byte_order_mark_of_windows_is_skipped(tmp_path: Path) -> None:
    assert loaded(tmp_path, "\ufeffclustering: {seed: 7}").clustering.seed == 7


def test_values_mean_what_people_expect(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "ingest: {min_duration_s: 5, max_duration_s: 1_000}\n"
        "clustering: {name: 2026-01-01, learning_rate: 1.0e-2, n_clusters: auto}\n"
        "selection: {size: 12.5%, allow_fewer: yes}\n"
        "features: {extractors: [{name: a, options: {x: 1, y: [on, ~]}}]}\n",
    )
    assert config.ingest.min_duration_s == 5.0
    assert config.ingest.max_duration_s == 1000.0
    assert config.clustering.name == "2026-01-01"
    assert config.clustering.learning_rate == 0.01
    assert config.selection.size == "12.5%"
    assert config.selection.allow_fewer is True
    assert config.features.extractors[0].options == {"x": 1, "y": [True, None]}


def test_spark_settings_are_taken_as_written(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "spark:\n  spark.sql.shuffle.partitions: 4\n  spark.ui.enabled: true\n"
        "  spark.x: 1:30\n  spark.y: '007'\n  spark.z: on\n",
    )
    assert config.spark == {
        "spark.sql.shuffle.partitions": "4",
        "spark.ui.enabled": "true",
        "spark.x": "1:30",
        "spark.y": "007",
        "spark.z": "on",
    }


def test_aliases_repeat_values(tmp_path: Path) -> None:
    text = "ingest: {excluded_categories: &a [x], excluded_keywords: *a}"
    assert loaded(tmp_path, text).ingest.excluded_keywords == ["x"]


def test_overrides_are_read_as_yaml_and_win_over_the_file(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "clustering: {n_clusters: 5, seed: 3}\nselection: {size: 10}\n",
        "clustering.n_clusters=500",
        "selection.size=50%",
        "selection.allow_fewer=true",
        "publish.formats=[csv, jsonl]",
        "clustering.learning_rate=1.0e-2",
        "clustering.n_epochs=7",
        "clustering.n_epochs=8",
    )
    assert config.clustering.n_clusters == 500
    assert config.clustering.seed == 3
    assert config.clustering.n_epochs == 8
    assert config.clustering.learning_rate == 0.01
    assert config.selection.size == "50%"
    assert config.selection.allow_fewer is True
    assert config.publish.formats == ["csv", "jsonl"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("50", "50"),
        ("no", "no"),
        ("", ""),
        ("/a b/*.mp4", "/a b/*.mp4"),
        ("*.mp4", "*.mp4"),
        ("s3://x/y?a=b#c", "s3://x/y?a=b#c"),
        ("C:\\videos: new", "C:\\videos: new"),
        ("'quoted'", "quoted"),
        ('"a\\nb"', "a\nb"),
    ],
)
def test_an_override_of_a_text_option_is_taken_as_it_stands(
    written: str, value: str
) -> None:
    assert load_config(None, [f"input.uri={written}"]).config.input.uri == value


def test_an_input_may_be_a_list() -> None:
    config = load_config(None, ["input.uri=[~/a, 'table:b']"]).config
    assert config.input.uris == [os.path.expanduser("~/a"), "table:b"]  # noqa: PTH111
    assert load_config(None, ["input.uri=x"]).config.input.uris == ["x"]
    assert load_config(None).config.input.uris == []


def test_overrides_reach_into_mappings_and_lists() -> None:
    config = load_config(
        None,
        [
            "spark.spark.sql.shuffle.partitions=4",
            "input.columns.uri=link",
            "features.extractors.1.options.n_frames=16",
            "features.extractors.0.name=mine",
            "ingest.excluded_categories=[20, on]",
        ],
    ).config
    assert config.spark == {"spark.sql.shuffle.partitions": "4"}
    assert config.input.columns == {"uri": "link"}
    assert [e.name for e in config.features.extractors] == ["mine", "handcrafted_audio"]
    assert config.features.extractors[1].options == {"n_frames": 16}
    assert config.ingest.excluded_categories == ["20", "on"]
    assert Config().features.extractors[0].name == "handcrafted_visual"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "clustering.n_cluster=5",
            "n_cluster: unknown key; did you mean 'n_clusters'?",
        ),
        ("clusterin.seed=5", "clusterin: unknown key; did you mean 'clustering'?"),
        ("clustering.seed", "expected section.key=value, got 'clustering.seed'."),
        ("=5", "expected section.key=value, got '=5'."),
        ("clustering..seed=5", "clustering.: unknown key"),
        ("input.uri.x=5", "input.uri.x: input.uri has no keys inside."),
        ("clustering=5", "clustering: expected a mapping with keys from"),
        ("clustering.seed=-1", "clustering.seed: expected a whole number in [0, 92233"),
        ("clustering.learning_rate=1e-2", "Write 1.0e-2: YAML 1.1 reads 1e-2 as text."),
        ("publish.formats=csv", "got text 'csv'. Write [csv]."),
        ("publish.formats=[csv", "publish.formats: not valid YAML"),
        ("features.extractors.9.name=x", "expected an item from 0 to 1, got 9."),
        ("features.extractors.0.nam=x", "nam: unknown key; did you mean 'name'?"),
        ("selection.allow_fewer=maybe", "expected true or false, got text 'maybe'."),
        ("clustering.n_epochs=!!x 1", "the tag !x is not allowed"),
    ],
)
def test_a_bad_override_is_one_problem_that_names_it(override: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, [override])
    lines = str(caught.value).split("\n")
    assert lines[0] == "--set has 1 problem."
    assert lines[1].startswith("  --set ")
    assert words.replace("!x", "tag:yaml.org,2002:x") in lines[1]


def test_problems_of_file_and_overrides_come_together(problems_of: ProblemsOf) -> None:
    lines = problems_of("clustering:\n  sed: 1\n", "selection.size=0%", "x=1")
    assert lines[0] == "small.yaml and --set have 3 problems."
    assert [line.split(":")[0] for line in lines[1:]] == [
        "  line 2",
        "  --set selection.size",
        "  --set x",
    ]


def test_an_override_mends_what_the_file_has_wrong(tmp_path: Path) -> None:
    config = loaded(tmp_path, "clustering: {seed: x}", "clustering.seed=4")
    assert config.clustering.seed == 4


def test_the_source_says_where_the_values_came_from(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("")
    assert load_config(path).source == str(path)
    assert load_config(path, ["clustering.seed=1"]).source == f"{path} with 1 override"
    assert load_config(None).source == "the built-in defaults"


def test_a_tilde_is_the_home_folder_as_no_shell_puts_it_in_an_override(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = load_config(None, ["input.uri=~/videos", "storage.root=~/tables"]).config
    assert config.input.uri == f"{tmp_path}/videos"
    assert config.storage.root == f"{tmp_path}/tables"


def test_the_objective_names_the_algorithm_that_maximises_it() -> None:
    loaded = load_config(None, ["selection.method=mutual_information"])

    assert loaded.config.selection.method == "batch_greedy"


def test_methods_that_score_by_features_run_with_either_engine() -> None:
    for engine in ("driver", "broadcast"):
        settings = ["selection.method=similarity", f"selection.engine={engine}"]
        assert load_config(None, settings).config.selection.engine == engine
