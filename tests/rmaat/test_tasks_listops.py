"""ListOps: the distribution of TASKS 1.1, an evaluator of the tests' own, the released files, the cache."""

import hashlib
import shutil
import statistics
from pathlib import Path

import numpy as np
import pytest

from foundation.errors import DamagedFileError, UserError
from rmaat.tasks import listops_trees
from rmaat.tasks.cache import CacheNote
from rmaat.tasks.controls import majority
from rmaat.tasks.listops import ListOps, generated, read_official
from rmaat.tasks.listops_trees import VOCABULARY, Shape, generate, sample

WORDS = {token: word for word, token in VOCABULARY.items()}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ASTRO_RMAAT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def trees():
    return generate(Shape(), 0, {"test": 2_000})["test"]


def independent_value(words: list[str]) -> int:
    """A stack machine over words, written without the generator's table."""
    stack: list = []
    for word in words:
        if word != "X":
            stack.append(word if word.startswith("[") else int(word))
            continue
        arguments = []
        while not isinstance(stack[-1], str):
            arguments.append(stack.pop())
        operator = stack.pop()
        assert 2 <= len(arguments) <= 10
        ordered = sorted(arguments)
        middle = len(ordered) // 2
        stack.append({"[MIN": ordered[0], "[MAX": ordered[-1], "[SM": sum(ordered) % 10,
                      "[MED": ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) // 2,
                      }[operator])
    (value,) = stack
    return value


def depth_of(words: list[str]) -> int:
    depth = deepest = 0
    for word in words:
        depth += word.startswith("[")
        deepest = max(deepest, depth)
        depth -= word == "X"
    return deepest


@pytest.mark.slow
def test_labels_agree_with_an_independent_evaluator(trees):
    for tokens, value in trees[:300]:
        assert independent_value([WORDS[token] for token in tokens]) == value


def test_median_truncates_downwards():
    assert listops_trees.APPLY[2]([1, 4]) == 2 and listops_trees.APPLY[2]([9, 1, 3]) == 3


def test_lengths_and_labels_are_distributed_as_the_release(trees):
    lengths = [len(tokens) for tokens, _ in trees]
    assert min(lengths) > 500 and max(lengths) < 2000
    # The definition gives a median of 955 (100,000 trees; a direct recursion with randint: 954 of 6,000). The spread
    # of lengths is 398, so the median of 2,000 has a standard error of 1.25 * 398 / sqrt(2000) = 11; four of them.
    assert abs(statistics.median(lengths) - 955) < 45
    shares = np.bincount([value for _, value in trees]) / len(trees)
    # labels 0 and 9 17 % each, standard error .84 %; the others share the rest evenly
    assert abs(shares[0] - .17) < .035 and abs(shares[9] - .17) < .035
    assert shares[1:9].max() < .11 and shares[1:9].min() > .055


def test_the_deepest_operator_is_at_depth_nine(trees):
    assert max(depth_of([WORDS[token] for token in tokens]) for tokens, _ in trees[:300]) == 9


def test_no_tree_twice_within_or_across_splits(trees):
    assert len({tokens for tokens, _ in trees}) == len(trees)
    # short trees repeat often by chance, so this is where drawing anew shows
    tiny = Shape(min_length=2, max_length=5, max_depth=2, max_arguments=2)
    sizes = {"test": 50, "validation": 50, "train": 150}
    made = generate(tiny, 0, sizes)
    assert {name: len(samples) for name, samples in made.items()} == sizes
    assert len({tokens for samples in made.values() for tokens, _ in samples}) == 250
    assert any(sample(tiny, 0, "train", index=k)[0] != made["train"][k][0] for k in range(150))  # some were drawn anew


@pytest.mark.slow
def test_the_result_does_not_depend_on_the_number_of_workers(monkeypatch):
    sizes = {"test": 300, "train": 300}
    alone = generate(Shape(), 7, sizes, workers=1)
    monkeypatch.setattr(listops_trees, "CHUNK", 140)  # three chunks a split, the last one smaller
    assert generate(Shape(), 7, sizes, workers=2) == alone


@pytest.mark.slow
def test_an_error_of_a_worker_is_the_same_error(monkeypatch):
    monkeypatch.setattr(listops_trees, "CHUNK", 1)
    with pytest.raises(UserError, match="no tree with 4 < length < 6"):  # depth 2 and 2 arguments: length 1 or 4
        generate(Shape(4, 6, max_depth=2, max_arguments=2), 0, {"test": 2}, workers=2)


def test_the_test_split_does_not_depend_on_the_size_of_the_training_split():
    small, large = (generated(ListOps(train=train, validation=5, test=20, max_length=700))["test"]
                    for train in (10, 30))
    assert (small.tokens == large.tokens).all() and (small.labels == large.labels).all()


def test_impossible_shapes_are_refused_instead_of_drawn_for_ever(monkeypatch):
    monkeypatch.setattr(listops_trees, "MAX_TRIES", 2_000)
    with pytest.raises(UserError, match="no tree with 500 < length < 2000"):
        sample(Shape(max_depth=3), 0, "test", index=0)
    with pytest.raises(UserError, match="distinct trees are all"):
        generate(Shape(min_length=0, max_length=2), 0, {"test": 11})
    with pytest.raises(UserError, match=r"task\.min_length = 1999"):
        ListOps(min_length=1_999)


def test_batches_are_padded_and_in_the_vocabulary():
    task = ListOps(train=10, validation=5, test=5, max_length=700)
    batch = task.split("train").batch(np.arange(10))
    assert batch.tokens.shape[1] == batch.lengths.max() < 700
    for row, length in zip(batch.tokens, batch.lengths, strict=True):
        assert row[:length].min() >= 1 and (row[length:] == 0).all()
    assert batch.tokens.max() == task.vocab_size - 1 == 15
    assert majority(task.split("train").all_labels())[1] >= .1


def test_the_cache_returns_the_same_and_a_damaged_one_is_made_anew(tmp_path):
    task = ListOps(train=10, validation=5, test=5, max_length=700)
    first = generated(task)
    (path,) = (tmp_path / "cache").iterdir()
    stamp = path.stat().st_mtime_ns
    assert (generated(task)["train"].tokens == first["train"].tokens).all() and path.stat().st_mtime_ns == stamp
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    with pytest.warns(CacheNote, match="is damaged"):
        assert (generated(task)["train"].tokens == first["train"].tokens).all()
    assert path.read_bytes() == whole


# ---------------------------------------------------------------------------------------------- official files

LINES = ["( ( ( [MIN 1 ) 4 ) ] )\t1", "( ( ( ( [SM 9 ) ( ( ( [MED 3 ) 8 ) ] ) ) 6 ) ] )\t0", "7\t7"]


def write_official(folder, lines, header="Source\tTarget", name="basic_test.tsv"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join([header, *lines]) + "\n")


def test_official_lines_are_read_as_the_release_reads_them(tmp_path):
    write_official(tmp_path, LINES)
    split = ListOps().split("test", tmp_path)
    words = [[WORDS[token] for token in split.sample(k)] for k in range(3)]
    assert [" ".join(line) for line in words] == ["[MIN 1 4 X", "[SM 9 [MED 3 8 X 6 X", "7"]
    assert split.all_labels().tolist() == [1, 0, 7] == [independent_value(line) for line in words]


def test_a_mark_windows_line_ends_and_a_blank_last_line_are_forgiven(tmp_path):
    (tmp_path / "basic_test.tsv").write_bytes(("\ufeff" + "\r\n".join(["Source\tTarget", *LINES, "", ""])).encode())
    assert read_official(tmp_path, "test", 2_000).labels.tolist() == [1, 0, 7]


def official_form(words: list[str]) -> str:
    """The release's nested form of one tree; takes its words from the front of `words`."""
    word = words.pop(0)
    if not word.startswith("["):
        return word
    nested = word
    while words[0] != "X":
        nested = f"( {nested} {official_form(words)} )"
    words.pop(0)
    return f"( {nested} ] )"


def test_generated_trees_survive_the_official_form(tmp_path, trees):
    some = trees[:30]
    write_official(tmp_path, [f"{official_form([WORDS[token] for token in tokens])}\t{value}"
                              for tokens, value in some])
    split = read_official(tmp_path, "test", 2_000)
    assert [(split.sample(k).tobytes(), int(split.labels[k])) for k in range(30)] == some


def test_the_release_may_be_given_by_its_root(tmp_path):
    write_official(tmp_path / "lra_release" / "lra_release" / "listops-1000", LINES)
    assert len(read_official(tmp_path, "test", 2_000)) == 3


def test_a_missing_file_is_named_with_what_the_folder_should_hold(tmp_path):
    with pytest.raises(UserError, match=r"no basic_train\.tsv, basic_val\.tsv, .*listops-1000.*: looked in"):
        ListOps().split("validation", tmp_path)
    write_official(tmp_path, LINES)
    with pytest.raises(UserError, match=r"no basic_val\.tsv in .*should hold basic_train\.tsv, basic_val\.tsv"):
        ListOps().split("validation", tmp_path)


@pytest.mark.parametrize("ending", ["tar.gz", "tar.xz", "zip"])
def test_an_archive_is_read_as_it_is_and_its_hash_told(tmp_path, ending):
    folder = tmp_path / "new" / "lra_release" / "lra_release"
    for name, count in (("train", 3), ("val", 2), ("test", 1)):
        write_official(folder / "listops-1000", LINES[:count], name=f"basic_{name}.tsv")
        write_official(folder / "tsv_data", ["other"], name=f"basic_{name}.tsv.txt")
    kind = {"tar.gz": "gztar", "tar.xz": "xztar", "zip": "zip"}[ending]
    made = Path(shutil.make_archive(str(tmp_path / "lra_release"), kind, tmp_path / "new"))
    for data in (made, tmp_path):
        splits = [ListOps().split(name, data) for name in ("train", "validation", "test")]
        assert [len(split) for split in splits] == [3, 2, 1]
        assert [split.sources for split in splits] == 3 * [{str(made): hashlib.sha256(made.read_bytes()).hexdigest()}]
    whole = ListOps().split("train", tmp_path / "new")
    assert whole.sample(0).tobytes() == splits[0].sample(0).tobytes() and whole.sources != splits[0].sources
    made.write_bytes(made.read_bytes()[:-200])
    with pytest.raises(DamagedFileError, match="damaged or cut"):
        ListOps().split("train", made)


@pytest.mark.parametrize(("line", "kind", "message"), [
    ("( ( ( [MIN 1 ) 4 ) ]", DamagedFileError, "line 2: expected an expression, a tab and a label"),
    ("( ( ( [MIN 1 ) 4 ) ] )\t12", DamagedFileError, "line 2: expected"),
    ("( ( ( [MIN 1 ) 4 )\t1", DamagedFileError, "brackets do not match"),
    ("\t1", DamagedFileError, "brackets do not match"),
    ("3 ] [MAX 2\t2", DamagedFileError, r"line 2: brackets do not match: token 2, '\]', closes no operator"),
    ("3 4\t3", DamagedFileError, "2 trees where one is expected"),
    ("[MAX 2 ] [MIN 1 ]\t2", DamagedFileError, "2 trees where one is expected"),
    ("[MAX ]\t2", DamagedFileError, r"closes \[MAX, which has no argument"),
    ("[MAX 2 [SM 9 4 ] ]\t2", DamagedFileError, "line 2: the tree's value is 3, its label 2"),
    ("( ( ( [MUL 1 ) 4 ) ] )\t4", UserError, r"token '\[MUL' is not in the vocabulary: 0 .* \[MIN \[MAX"),
    ("[MAX 1 2]\t2", UserError, r"token '2\]' is not in the vocabulary"),
    ("[MAX 1 X\t1", UserError, "token 'X' is not"),
    ("( ( ( [MAX 1 ) " + "4 " * 2_000 + ") ] )\t4", UserError, "2003 tokens, the task takes 2000"),
])
def test_bad_lines_are_named(tmp_path, line, kind, message):
    write_official(tmp_path, [line])
    with pytest.raises(kind, match=message) as raised:
        read_official(tmp_path, "test", 2_000)
    assert raised.type is kind


def test_bad_files_are_named(tmp_path):
    write_official(tmp_path, LINES, header="source,target")
    with pytest.raises(DamagedFileError, match="is not the header"):
        read_official(tmp_path, "test", 2_000)
    write_official(tmp_path, [])
    with pytest.raises(DamagedFileError, match="no samples"):
        read_official(tmp_path, "test", 2_000)
    (tmp_path / "basic_test.tsv").write_bytes(b"Source\tTarget\n\xff\xfe\t1\n")
    with pytest.raises(DamagedFileError, match=r"basic_test\.tsv, line 2: not text \(byte 0xff\)"):
        read_official(tmp_path, "test", 2_000)


def test_sizes_of_the_benchmark_are_the_default():
    task = ListOps()
    assert (task.train, task.validation, task.test, task.vocab_size) == (96_000, 2_000, 2_000, 16)
    assert 0 not in VOCABULARY.values()  # 0 is padding
